"""What the notes of a machine become: log lines of a level, and labels of metrics."""

import logging
from collections.abc import Mapping
from typing import Final

from gateway_service.protocol.constants import CloseCode
from gateway_service.protocol.effects import NoteName
from gateway_service.telemetry import LogEvent

NOTE_EVENTS: Final[Mapping[NoteName, tuple[int, LogEvent]]] = {
    "close.alarming": (logging.ERROR, LogEvent.SHARD_NOTE),
    "connection.ended": (logging.INFO, LogEvent.SHARD_CLOSED),
    "dispatch.duplicate": (logging.DEBUG, LogEvent.SHARD_NOTE),
    "dispatch.gap": (logging.WARNING, LogEvent.SHARD_NOTE),
    "dispatch.unexpected": (logging.INFO, LogEvent.SHARD_NOTE),
    "dispatch.unnumbered": (logging.WARNING, LogEvent.SHARD_NOTE),
    "dispatch.unreadable": (logging.ERROR, LogEvent.DISPATCH_UNREADABLE),
    "happening.ignored": (logging.DEBUG, LogEvent.SHARD_NOTE),
    "heartbeat.acks_missing": (logging.WARNING, LogEvent.SHARD_NOTE),
    "heartbeat.suppressed": (logging.WARNING, LogEvent.SHARD_NOTE),
    "opcode.unknown": (logging.DEBUG, LogEvent.SHARD_NOTE),
    "payload.unexpected": (logging.INFO, LogEvent.SHARD_NOTE),
    "presence.refused": (logging.WARNING, LogEvent.SHARD_NOTE),
    "session.forgotten": (logging.WARNING, LogEvent.SESSION_FORGOTTEN),
    "session.opened": (logging.INFO, LogEvent.SESSION_OPENED),
    "session.replayed": (logging.INFO, LogEvent.SESSION_REPLAYED),
    "session.resumed": (logging.INFO, LogEvent.SESSION_RESUMED),
    "url.refused": (logging.WARNING, LogEvent.SHARD_NOTE),
}
"""How each note of the machine is logged."""


_KNOWN_CODES: Final = frozenset({1000, 1001, 1006, 1012, *map(int, CloseCode)})


def code_label(code: object) -> str:
    """Return a close code as the label of a metric: what a server makes up must not become a label of its own."""
    if code is None:
        return "none"
    return str(code) if isinstance(code, int) and code in _KNOWN_CODES else "other"
