"""Recorded dispatches: jsonl files of ``{op, t, s, d}``, played with the exact text of ``d``."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway_service.simulator.hub import Hub
from gateway_service.simulator.intents import guild_of

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = " \t\r\n"
# They open and continue sessions: a recorded one would contradict the simulator's own.
_SESSION_CONTROL: Final = frozenset({"READY", "RESUMED"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """One line of a corpus."""

    event: str
    data: Any
    text: bytes
    """The bytes of ``d`` as they stand in the file."""


@dataclass(frozen=True, slots=True)
class Played:
    """One recorded dispatch in the log of one session."""

    session_id: str
    seq: int
    recorded: Recorded


def read(directory: Path) -> Iterator[Recorded]:
    """Yield the dispatches of every ``*.jsonl`` in ``directory``, in the order of file names and lines.

    Raises:
        ValueError: A line is not a dispatch; the message has file and line.
        FileNotFoundError: There is no ``*.jsonl``.
    """
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        raise FileNotFoundError(f"no *.jsonl in {directory}")
    for path in paths:
        # Not splitlines(): U+2028 inside a string is content, only "\n" ends a line of jsonl.
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                recorded = _recorded(line.decode())
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
            if recorded.event not in _SESSION_CONTROL:
                yield recorded


def play(directory: Path, hub: Hub) -> list[Played]:
    """Append every recorded dispatch to the sessions that own its guild, whatever their intents are."""
    played: list[Played] = []
    for recorded in read(directory):
        for session in hub.sessions.owners(guild_of(recorded.event, recorded.data)):
            seq = session.append(recorded.event, recorded.text, hub.clock())
            played.append(Played(session.session_id, seq, recorded))
    return played


def _recorded(line: str) -> Recorded:
    members = _members(line)
    event, _ = members.get("t", (None, ""))
    if not isinstance(event, str) or "d" not in members:
        raise ValueError("a dispatch has a string t and a d")
    data, text = members["d"]
    return Recorded(event, data, text.encode())


def _members(line: str) -> dict[str, tuple[Any, str]]:
    """Return each key of the outermost object with its value and the exact text of it."""
    members: dict[str, tuple[Any, str]] = {}
    at = _expect(line, 0, "{")
    while True:
        key, at = _DECODER.raw_decode(line, _skip(line, at))
        start = _skip(line, _expect(line, at, ":"))
        value, end = _DECODER.raw_decode(line, start)
        members[key] = (value, line[start:end])
        at = _skip(line, end)
        if line[at : at + 1] != ",":
            _expect(line, at, "}")
            return members
        at += 1


def _skip(line: str, at: int) -> int:
    while at < len(line) and line[at] in _SPACE:
        at += 1
    return at


def _expect(line: str, at: int, char: str) -> int:
    at = _skip(line, at)
    if line[at : at + 1] != char:
        raise ValueError(f"expected {char!r} at column {at + 1}")
    return at + 1
