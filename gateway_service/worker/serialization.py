"""JSON without kombu's additions: what a handler receives is what Discord sent.

kombu's ``json`` turns ``{"__type__": "datetime", "__value__": "..."}`` into a datetime, or fails on it, and a
message that fails to decode is acknowledged and lost. Discord's payloads are not ours to interpret that way.
"""

import json
from typing import Any, Final

from kombu import serialization

from gateway_service.contract import loads_exact

SERIALIZER: Final = "gateway-json"
CONTENT_TYPE: Final = "application/x-gateway-json"
PLAIN_JSON: Final = "application/json"

_ACCEPTED: Final = frozenset({CONTENT_TYPE, PLAIN_JSON})


class UndecodableBody(ValueError):
    """A message body is not what the contract says; the text tells what is wrong and shows nothing of it."""


def dumps(value: Any) -> str:
    """Encode a task message so that :func:`loads_exact` gives the same value back."""
    # ASCII, because a lone surrogate has no UTF-8; Discord may send one inside an escape.
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def loads(text: bytes | memoryview | str) -> Any:
    """Decode what :func:`dumps` made, in any of the forms that kombu's transports deliver.

    Raises:
        ValueError: It is not JSON.
    """
    return loads_exact(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text))


def decode_task_body(body: bytes | memoryview | str, content_type: str | None) -> list[Any]:
    """Return ``[args, kwargs, embed]`` of a task message.

    Raises:
        UndecodableBody: It is not JSON, or not the body of a task.
    """
    if content_type not in _ACCEPTED:
        raise UndecodableBody(f"its content type is {content_type!r}")
    try:
        payload = loads(body)
    except ValueError as exc:
        raise UndecodableBody(f"its body is not JSON: {exc}") from None
    match payload:
        case [list() as args, dict() as kwargs, dict() | None as embed]:
            return [args, kwargs, embed]
        case _:
            raise UndecodableBody("its body is not [args, kwargs, embed]")


def register() -> None:
    """Make :data:`SERIALIZER` known to kombu."""
    serialization.register(SERIALIZER, dumps, loads, content_type=CONTENT_TYPE, content_encoding="utf-8")
