"""The registry on the page: every operation as a form that is made from its arguments."""

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from gateway_service.control.arguments import Arguments
from gateway_service.control.operations import OPERATIONS, Operation, Reach, operation_named, parsed
from gateway_service.refusals import InvalidArgument


def described() -> list[dict[str, Any]]:
    """Return what the page needs to know of each operation, as JSON values."""
    return [
        {
            "name": operation.name,
            "kind": operation.kind,
            "help": operation.help,
            "wants_host": operation.reach is Reach.HERE,
            "arguments": [
                {
                    "name": name,
                    "required": field.is_required(),
                    "choices": _choices(field.annotation),
                    "default": None if field.is_required() or field.default is None else _text(field.default),
                }
                for name, field in operation.arguments.model_fields.items()
            ],
        }
        for operation in OPERATIONS.values()
    ]


def filled_in(name: str, texts: Mapping[str, str], host: str) -> tuple[Operation, Arguments]:
    """Return the operation and the arguments that were written into its form.

    Args:
        name: Of the operation.
        texts: By argument; lists and objects are JSON.
        host: Node name of the one supervisor that is meant; empty for all.

    Raises:
        InvalidArgument: Something was written wrongly, or the host is missing.
    """
    operation = operation_named(name)
    if operation.reach is Reach.HERE and not host:
        raise InvalidArgument(f"{name}: concerns one host; choose it")
    return operation, parsed(operation, {key: _value(name, key, text) for key, text in texts.items()})


def _choices(annotation: Any) -> list[str]:
    """Return the few words that an argument may be; none where it may be more."""
    if annotation is bool:
        return ["false", "true"]
    return [*get_args(annotation)] if get_origin(annotation) is Literal else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(name: str, key: str, text: str) -> Any:
    if text[:1] not in {"[", "{"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidArgument(f"{name}: {key}: is not valid JSON") from None
