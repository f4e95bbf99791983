"""Payloads to Discord: their builders, and the queue in which an operator's commands wait for their turn."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import orjson

from gateway_service.errors import CommandQueueFull, LocalProtocolError, PayloadTooLong
from gateway_service.protocol.constants import (
    MAX_MEMBERS_USER_IDS,
    MAX_NONCE_BYTES,
    MAX_PAYLOAD_BYTES,
    PRESENCE_LIMIT,
    PRESENCE_WINDOW_S,
    Opcode,
)
from gateway_service.protocol.ratelimit import SendLimiter, SlidingWindow

MAX_QUEUED_COMMANDS: Final = 256

_Fields = Mapping[str, Any]

# What Discord requires in `d`, and what we add because Discord answers a missing field by closing (4001, 4002).
_REQUIRED: Final[Mapping[int, frozenset[str]]] = {
    Opcode.PRESENCE_UPDATE: frozenset(),
    Opcode.VOICE_STATE_UPDATE: frozenset({"guild_id"}),
    Opcode.REQUEST_GUILD_MEMBERS: frozenset({"guild_id"}),
    Opcode.REQUEST_SOUNDBOARD_SOUNDS: frozenset({"guild_ids"}),
    Opcode.REQUEST_CHANNEL_INFO: frozenset({"guild_id", "fields"}),
}
_PRESENCE_DEFAULTS: Final[_Fields] = {"since": None, "activities": [], "status": "online", "afk": False}
_DEFAULTS: Final[Mapping[int, _Fields]] = {
    Opcode.PRESENCE_UPDATE: _PRESENCE_DEFAULTS,
    Opcode.VOICE_STATE_UPDATE: {"channel_id": None, "self_mute": False, "self_deaf": False},
}


def encode(op: int, data: Any) -> bytes:
    """Return the text of one payload.

    Raises:
        LocalProtocolError: It is too long, or not JSON; Discord would close the connection (4002).
    """
    try:
        text = orjson.dumps({"op": int(op), "d": data})
    except (TypeError, RecursionError):
        raise LocalProtocolError(f"the data of opcode {int(op)} is not JSON") from None
    if len(text) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLong(f"opcode {int(op)}: {len(text)} bytes are more than Discord's {MAX_PAYLOAD_BYTES}")
    return text


def heartbeat(seq: int | None) -> bytes:
    """Return a heartbeat (op 1); ``seq`` is None as long as nothing was received."""
    return b'{"op":1,"d":null}' if seq is None else b'{"op":1,"d":%d}' % seq


def identify(
    *,
    token: str,
    properties: _Fields,
    intents: int,
    shard: tuple[int, int],
    large_threshold: int,
    presence: _Fields | None = None,
) -> bytes:
    """Return an IDENTIFY (op 2).

    Raises:
        LocalProtocolError: It is longer than Discord takes, or not JSON.
    """
    data: dict[str, Any] = {
        "token": token,
        "properties": dict(properties),
        "intents": intents,
        "shard": list(shard),
        "large_threshold": large_threshold,
        "compress": False,  # payload compression; transport compression is in the URL
    }
    if presence is not None:
        if not isinstance(presence, Mapping):
            raise LocalProtocolError("a presence that is not an object")
        data["presence"] = {**_PRESENCE_DEFAULTS, **presence}
    return encode(Opcode.IDENTIFY, data)


def resume(*, token: str, session_id: str, seq: int) -> bytes:
    """Return a RESUME (op 6).

    Raises:
        LocalProtocolError: ``session_id`` is longer than Discord takes, or not Unicode.
    """
    return encode(Opcode.RESUME, {"token": token, "session_id": session_id, "seq": seq})


def command(op: int, data: Any) -> bytes:
    """Return an operator's command: op 3, 4, 8, 31 or 43.

    Raises:
        LocalProtocolError: Discord would close the connection for it, or silently do something else.
    """
    required = _REQUIRED.get(op)
    if required is None:
        raise LocalProtocolError(f"opcode {op} is not a command")
    if not isinstance(data, Mapping):
        raise LocalProtocolError(f"the data of opcode {op} is not an object")
    if missing := required - data.keys():
        raise LocalProtocolError(f"opcode {op} needs {', '.join(sorted(missing))}")
    data = {**_DEFAULTS.get(op, {}), **data}
    return encode(op, _members_request(data) if op == Opcode.REQUEST_GUILD_MEMBERS else data)


def _members_request(data: dict[str, Any]) -> dict[str, Any]:
    user_ids, nonce = data.get("user_ids"), data.get("nonce")
    if ("query" in data) == ("user_ids" in data):
        raise LocalProtocolError("opcode 8 needs either query or user_ids")
    if isinstance(user_ids, list | tuple) and len(user_ids) > MAX_MEMBERS_USER_IDS:
        raise LocalProtocolError(f"opcode 8 takes at most {MAX_MEMBERS_USER_IDS} user_ids")
    if nonce is not None and len(str(nonce).encode("utf-8", "replace")) > MAX_NONCE_BYTES:
        raise LocalProtocolError(f"a nonce of more than {MAX_NONCE_BYTES} bytes would be dropped silently")
    return {"limit": 0, **data} if "query" in data else data


@dataclass(slots=True)
class CommandQueue:
    """Commands until the connection is live and the limits let them pass (protocol S3, S5).

    Of several presence updates only the latest is kept; everything else stays in order.
    """

    _waiting: deque[bytes] = field(default_factory=deque)
    _presence: bytes | None = None
    # Per session, not per connection, so a reconnect does not refresh it.
    _presence_window: SlidingWindow = field(default_factory=lambda: SlidingWindow(PRESENCE_LIMIT, PRESENCE_WINDOW_S))

    def __len__(self) -> int:
        return len(self._waiting) + (self._presence is not None)

    def put(self, op: int, data: Any) -> None:
        """Queue one command.

        Raises:
            LocalProtocolError: The command is malformed, or too many are waiting.
        """
        text = command(op, data)
        if op == Opcode.PRESENCE_UPDATE:
            self._presence = text
        elif len(self._waiting) >= MAX_QUEUED_COMMANDS:
            raise CommandQueueFull(f"{MAX_QUEUED_COMMANDS} commands are waiting already")
        else:
            self._waiting.append(text)

    def take(self, limiter: SendLimiter, now: float) -> list[bytes]:
        """Return what may be sent now; it counts as sent."""
        taken: list[bytes] = []
        if self._presence is not None and self._presence_window.has_room(now) and limiter.take_command(now):
            self._presence_window.record(now)
            taken.append(self._presence)
            self._presence = None
        while self._waiting and limiter.take_command(now):
            taken.append(self._waiting.popleft())
        return taken

    def next_deadline(self, limiter: SendLimiter) -> float:
        """Return when :meth:`take` will have something; infinity when nothing waits."""
        if self._waiting:
            return limiter.command_room_at()
        if self._presence is not None:
            return max(limiter.command_room_at(), self._presence_window.room_at())
        return inf
