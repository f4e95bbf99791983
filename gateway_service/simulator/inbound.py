"""What clients send, checked as Discord checks it: size, JSON, and the ``d`` of IDENTIFY and RESUME."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypeGuard

import orjson

from gateway_service.protocol.constants import (
    ALL_INTENTS,
    MAX_PAYLOAD_BYTES,
    MIN_LARGE_THRESHOLD,
    PRIVILEGED_INTENTS,
    CloseCode,
    Intents,
)
from gateway_service.simulator.config import SimulatorConfig

_UNDECODABLE: Final = "Error while decoding payload."


class Refused(Exception):  # not an error of the simulator: it is how it answers
    """The client broke a rule that costs it the connection."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def parse(message: bytes) -> tuple[int, Any]:
    """Return opcode and ``d`` of one message.

    Raises:
        Refused: It is too long, not JSON or not a payload.
    """
    if len(message) > MAX_PAYLOAD_BYTES:
        raise Refused(CloseCode.DECODE_ERROR, f"Payload of {len(message)} bytes.")
    try:
        payload = orjson.loads(message)
    except orjson.JSONDecodeError:
        raise Refused(CloseCode.DECODE_ERROR, _UNDECODABLE) from None
    if not isinstance(payload, dict):
        raise Refused(CloseCode.DECODE_ERROR, _UNDECODABLE)
    op = payload.get("op")
    if not is_int(op):
        raise Refused(CloseCode.UNKNOWN_OPCODE, "Unknown opcode.")
    return op, payload.get("d")


def is_int(value: Any) -> TypeGuard[int]:
    """Tell an integer from JSON's booleans, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identify:
    """The ``d`` of an acceptable IDENTIFY, apart from its token."""

    shard_id: int
    num_shards: int
    names_shard: bool
    """Whether ``shard`` was sent; READY repeats it only then."""
    intents: int
    compress: bool
    large_threshold: int
    presence: Mapping[str, Any] | None

    @classmethod
    def checked(cls, data: Mapping[str, Any], config: SimulatorConfig) -> Self:
        """Read an IDENTIFY; unknown keys are welcome.

        Raises:
            Refused: Shard or intents cannot be accepted.
        """
        shard_id, num_shards = _checked_shard(data.get("shard"), config)
        large_threshold = data.get("large_threshold")
        presence = data.get("presence")
        return cls(
            shard_id=shard_id,
            num_shards=num_shards,
            names_shard=data.get("shard") is not None,
            intents=_checked_intents(data.get("intents"), config),
            compress=bool(data.get("compress")),
            large_threshold=large_threshold if is_int(large_threshold) else MIN_LARGE_THRESHOLD,
            presence=presence if isinstance(presence, Mapping) else None,
        )


@dataclass(frozen=True, slots=True)
class Resume:
    """The ``d`` of a RESUME."""

    token: str
    session_id: str
    seq: int

    @classmethod
    def checked(cls, data: Any) -> Self:
        """Read a RESUME.

        Raises:
            Refused: A field is missing or of the wrong type.
        """
        match data:
            case {"token": str(token), "session_id": str(session_id), "seq": seq} if is_int(seq):
                return cls(token, session_id, seq)
            case _:
                raise Refused(CloseCode.UNKNOWN_OPCODE, _UNDECODABLE)


def token_of(data: Any) -> str:
    """Return the token of an IDENTIFY.

    Raises:
        Refused: ``d`` is not an IDENTIFY at all, or has no token.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("properties"), Mapping):
        raise Refused(CloseCode.UNKNOWN_OPCODE, _UNDECODABLE)
    if not isinstance(data.get("token"), str):
        raise Refused(CloseCode.AUTHENTICATION_FAILED, "Authentication failed.")
    return str(data["token"])


def _checked_shard(shard: Any, config: SimulatorConfig) -> tuple[int, int]:
    match shard:
        case None:
            shard_id, num_shards = 0, 1
        case [shard_id, num_shards] if is_int(shard_id) and is_int(num_shards):
            pass
        case _:
            raise Refused(CloseCode.INVALID_SHARD, "Invalid shard.")
    multiple = config.required_shard_multiple
    if not 0 <= shard_id < num_shards or (multiple is not None and num_shards % multiple):
        raise Refused(CloseCode.INVALID_SHARD, "Invalid shard.")
    if config.guilds > config.max_guilds_per_shard * num_shards:
        raise Refused(CloseCode.SHARDING_REQUIRED, "Sharding required.")
    return shard_id, num_shards


def _checked_intents(intents: Any, config: SimulatorConfig) -> int:
    if not is_int(intents) or intents & ~int(ALL_INTENTS):  # a negative number has every unknown bit
        raise Refused(CloseCode.INVALID_INTENTS, "Invalid intent(s).")
    if Intents(intents) & PRIVILEGED_INTENTS & ~config.privileged_intents:
        raise Refused(CloseCode.DISALLOWED_INTENTS, "Disallowed intent(s).")
    return intents
