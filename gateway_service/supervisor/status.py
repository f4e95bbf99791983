"""What the supervisor tells of its shards and processes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway_service.ipc.statuses import ProcessStatus, ShardStatus

COUNTERS: Final = (
    "received",
    "published",
    "replayed",
    "heard",
    "duplicates",
    "gaps",
    "resumes",
    "identifies",
    "reconnects",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSnapshot:
    """One planned shard process at one moment."""

    index: int
    state: str
    """One of supervisor/states.py."""
    since: float
    """UNIX seconds at which it entered ``state``."""
    pid: int | None
    shard_ids: tuple[int, ...]
    restarts: int
    """How often it ended without being asked to; the last time may not have been followed by a start."""
    last_exit: str | None
    """How it ended the last time."""
    status: ProcessStatus | None
    """Its last report; None until there is one, and after it ended."""
    reconnects: Mapping[tuple[str, str], int]
    """Ended gateway connections by cause and close code, of all its children; see ``ProcessStatus``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """The identify budget of the bot at one moment; counters count from the start of the supervisor."""

    total: int
    """IDENTIFYs that Discord allows in a day."""
    remaining: int
    """IDENTIFYs that are certainly left."""
    reserve: int
    """IDENTIFYs that are only spent when forced."""
    spent: int
    """In the present window, by all services of the bot that share its state."""
    reset_at: float | None
    """UNIX seconds at which Discord begins to count anew; None while it does not count, or nobody may ask."""
    can_restart_all: bool
    """Whether every shard of the bot could IDENTIFY without touching the reserve."""
    breaker: Literal["open", "closed"]
    """Open when the bot identified so often that every repeat is slowed."""
    max_concurrency: int
    waiting: int
    """Shards that want to IDENTIFY."""
    held: int
    """Those of them that wait for the budget or the breaker, not for their turn."""
    next_at: float | None
    """UNIX seconds at which the first of them is looked at again."""
    granted: int
    """Permits handed out."""
    forced: int
    """Those that came out of the reserve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole service at one moment; counters count from the start of the supervisor."""

    num_shards: int
    shards: tuple[ShardStatus, ...]
    """In the order of their ids."""
    processes: tuple[ProcessSnapshot, ...]
    identify_budget: BudgetStatus
    state_error: str | None = None
    """Why the state store cannot be used; nobody identifies meanwhile."""
    silences: Mapping[str, int] = field(default_factory=dict)
    """Cures of deaf shards so far: ``resume``, ``identify``, and how they ended: ``healed``, ``given_up``."""
    commands: Mapping[tuple[int, str], int] = field(default_factory=dict)
    """Commands to Discord so far, by opcode and outcome: ``ok`` or the code of an error."""


class ShardBoard:
    """The last word on each shard of one process, over all of its restarts.

    A child counts from its own start. What its predecessors had counted is added, as of their last reports.
    """

    def __init__(self, shard_ids: Iterable[int]) -> None:
        self._shard_ids = tuple(shard_ids)
        self._reported: dict[int, ShardStatus] = {}
        self._before: dict[int, Mapping[str, int]] = {
            shard_id: dict.fromkeys(COUNTERS, 0) for shard_id in self._shard_ids
        }
        self._fatal: dict[int, tuple[float, str]] = {}

    @property
    def living(self) -> tuple[int, ...]:
        """The shards that Discord has not refused for good."""
        return tuple(shard_id for shard_id in self._shard_ids if shard_id not in self._fatal)

    def report(self, shards: Iterable[ShardStatus]) -> None:
        """Take what the present child says."""
        self._reported.update((shard.shard_id, shard) for shard in shards if shard.shard_id in self._before)

    def fatal(self, shard_id: int, reason: str, at: float) -> None:
        """Note that a shard stopped for good; a second reason does not replace the first."""
        self._fatal.setdefault(shard_id, (at, reason))

    def child_ended(self) -> None:
        """Keep the counters of the child that ended; its other words are void."""
        for shard_id in self._reported:
            self._before[shard_id] = self._counters(shard_id)
        self._reported.clear()

    def shards(self, state: str, since: float) -> tuple[ShardStatus, ...]:
        """Return every shard; one without a word from a living child has the ``state`` of its process."""
        return tuple(self._status(shard_id, state, since) for shard_id in self._shard_ids)

    def _status(self, shard_id: int, state: str, since: float) -> ShardStatus:
        status = self._reported.get(shard_id) or ShardStatus(shard_id=shard_id, state=state, since=since)
        changes: dict[str, object] = dict(self._counters(shard_id))
        if shard_id in self._fatal:
            changes["since"], changes["reason"] = self._fatal[shard_id]
            changes["state"] = "FATAL"
        return status.model_copy(update=changes)

    def _counters(self, shard_id: int) -> Mapping[str, int]:
        before, now = self._before[shard_id], self._reported.get(shard_id)
        return {name: before[name] + (getattr(now, name) if now else 0) for name in COUNTERS}


class Reconnects:
    """How many connections of one process ended, by cause and close code, over all of its restarts."""

    def __init__(self) -> None:
        self._reported: Counter[tuple[str, str]] = Counter()
        self._before: Counter[tuple[str, str]] = Counter()

    def report(self, reconnects: Iterable[tuple[str, str, int]]) -> None:
        """Take what the present child counted since its start."""
        self._reported = Counter({(cause, code): count for cause, code, count in reconnects})

    def child_ended(self) -> None:
        """Keep what the child that ended had counted."""
        self._before, self._reported = self.counts(), Counter()

    def counts(self) -> Counter[tuple[str, str]]:
        """Return what all children counted, as of their last reports."""
        return self._before + self._reported
