"""The guilds of a session: why each GUILD_CREATE and GUILD_DELETE arrived, now and as of the published seq."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway_service.contract import GuildKind

_MAX_SNOWFLAKE = 2**64 - 1
_MAX_SNOWFLAKE_DIGITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildSnapshot:
    """The guilds at one moment of a session. The three sets have no member in common."""

    known: frozenset[int] = frozenset()
    """The bot is in them and they were delivered."""
    awaited: frozenset[int] = frozenset()
    """Listed in READY, their first GUILD_CREATE not yet seen."""
    unavailable: frozenset[int] = frozenset()
    """In an outage."""

    def to_lists(self) -> dict[str, list[int]]:
        """Return the sets as plain lists, for JSON."""
        return {
            "known": sorted(self.known),
            "awaited": sorted(self.awaited),
            "unavailable": sorted(self.unavailable),
        }

    @classmethod
    def from_lists(cls, lists: Mapping[str, Iterable[int]]) -> "GuildSnapshot":
        """Read what :meth:`to_lists` returned."""
        return cls(
            known=frozenset(map(int, lists["known"])),
            awaited=frozenset(map(int, lists["awaited"])),
            unavailable=frozenset(map(int, lists["unavailable"])),
        )


class _Place(Enum):
    KNOWN = "known"
    AWAITED = "awaited"
    UNAVAILABLE = "unavailable"


class GuildTracker:
    """Classify guild dispatches, and remember the guilds as they were at the published sequence.

    After a crash the gateway replays what was received and not yet published. The replay must meet the state
    of that earlier moment, or a start-up GUILD_CREATE would come back as something else. So every change is
    kept with its seq until that seq is published.
    """

    def __init__(self, start: GuildSnapshot | None = None) -> None:
        self._snapshot = start or GuildSnapshot()
        self._published: dict[int, _Place] = {
            **dict.fromkeys(self._snapshot.known, _Place.KNOWN),
            **dict.fromkeys(self._snapshot.awaited, _Place.AWAITED),
            **dict.fromkeys(self._snapshot.unavailable, _Place.UNAVAILABLE),
        }
        self._current = dict(self._published)
        self._changes: deque[tuple[int, int, _Place | None]] = deque()

    def __len__(self) -> int:
        """Return how many guilds the session has now, awaited and unavailable ones included."""
        return len(self._current)

    @property
    def ids(self) -> tuple[int, ...]:
        """The guilds that the session has now, sorted; awaited and unavailable ones included."""
        return tuple(sorted(self._current))

    def receive_ready(self, data: Any, seq: int) -> None:
        """Start over with the guilds that READY lists; a malformed entry is passed over."""
        guilds = data.get("guilds") if isinstance(data, dict) else None
        for known_id in list(self._current):
            self._move(known_id, None, seq)
        for guild in guilds if isinstance(guilds, list) else ():
            guild_id = snowflake(guild.get("id")) if isinstance(guild, dict) else None
            if guild_id is not None:
                self._move(guild_id, _Place.AWAITED, seq)

    def receive_create(self, data: Any, seq: int) -> GuildKind | None:
        """Return why this GUILD_CREATE arrived; None when it has no id."""
        guild_id = snowflake(data.get("id")) if isinstance(data, dict) else None
        if guild_id is None:
            return None
        before = self._current.get(guild_id)
        # A guild in an outage may be announced by a GUILD_CREATE of {id, unavailable} alone (protocol §7.2).
        if data.get("unavailable") is True:
            self._move(guild_id, _Place.UNAVAILABLE, seq)
            return "outage"
        self._move(guild_id, _Place.KNOWN, seq)
        if before is None:
            return "join"
        return "startup" if before is _Place.AWAITED else "recovered"

    def receive_delete(self, data: Any, seq: int) -> GuildKind | None:
        """Return why this GUILD_DELETE arrived; None when it has no id."""
        guild_id = snowflake(data.get("id")) if isinstance(data, dict) else None
        if guild_id is None:
            return None
        if data.get("unavailable") is True:
            self._move(guild_id, _Place.UNAVAILABLE, seq)
            return "outage"
        self._move(guild_id, None, seq)
        return "left"

    def snapshot(self, published_seq: int) -> GuildSnapshot:
        """Return the guilds as they were after ``published_seq``, which never goes down.

        The same object comes back for as long as nothing changed.
        """
        changed = False
        while self._changes and self._changes[0][0] <= published_seq:
            _, guild_id, place = self._changes.popleft()
            changed = True
            if place is None:
                self._published.pop(guild_id, None)
            else:
                self._published[guild_id] = place
        if changed:
            self._snapshot = GuildSnapshot(
                known=self._published_in(_Place.KNOWN),
                awaited=self._published_in(_Place.AWAITED),
                unavailable=self._published_in(_Place.UNAVAILABLE),
            )
        return self._snapshot

    def _published_in(self, place: _Place) -> frozenset[int]:
        return frozenset(guild_id for guild_id, where in self._published.items() if where is place)

    def _move(self, guild_id: int, place: _Place | None, seq: int) -> None:
        if self._current.get(guild_id) is place:
            return
        if place is None:
            del self._current[guild_id]
        else:
            self._current[guild_id] = place
        self._changes.append((seq, guild_id, place))


def snowflake(value: Any) -> int | None:
    """Return a Discord id as an integer; None for anything that is not one."""
    if type(value) is str:
        # isdecimal alone accepts other scripts' digits; the length keeps int() from working on megabytes.
        if len(value) > _MAX_SNOWFLAKE_DIGITS or not value.isdecimal() or not value.isascii():
            return None
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_SNOWFLAKE else None


def guild_id_of(event: str, data: Any) -> int | None:
    """Return the guild a dispatch belongs to; None for direct messages and everything else without one.

    The event table of Discord's documentation comes down to this for every event, unknown ones included
    (protocol §15).
    """
    if type(data) is not dict:
        return None
    guild_id = data.get("guild_id")
    if guild_id is not None and (number := snowflake(guild_id)) is not None:
        return number
    if event in _NAMED_BY_ID:
        return snowflake(data.get("id"))
    if event == "RATE_LIMITED":
        meta = data.get("meta")
        return snowflake(meta.get("guild_id")) if type(meta) is dict else None
    return None


_NAMED_BY_ID = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})
