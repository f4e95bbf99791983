"""A session is a log: every dispatch is appended once, and a connection is a cursor in it.

So replay, live traffic and a connection that reads slowly are one mechanism, and RESUMED falls into its
place by itself: it is appended when RESUME arrives, behind everything missed and before everything live.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from gateway_service.simulator.wire import dispatch_head, dispatch_text

# Dict slot, tuple and integers of one entry, measured with tracemalloc; keeps tiny dispatches from being free.
ENTRY_OVERHEAD_BYTES: Final = 200


class Entry(NamedTuple):
    """One dispatch in the log of its session."""

    event: str
    body: bytes
    """JSON text of ``d``."""
    at: float


class Listener(Protocol):
    """The connection that reads a session."""

    def wake(self) -> None:
        """Learn that the log has grown."""

    def superseded(self) -> None:
        """Learn that another connection has taken the session over."""


SESSION_ID_PREFIX: Final = "5e551017"
"""Of every session id, so that who sees one anywhere knows it."""


@dataclass(slots=True, eq=False, kw_only=True)
class Session:
    """What READY opens; it outlives connections."""

    session_id: str
    shard_id: int
    num_shards: int
    number: int
    """Grows with each session of the simulator."""
    intents: int
    replay_capacity: int
    replay_max_bytes: int
    replay_ttl_s: float
    last_seq: int = 0
    cursor: int = 0
    """Last seq written to the present connection."""
    sent_seq: int = 0
    """Last seq ever put on a wire; all up to it were, as the log is written in order."""
    floor: int = 0
    """Last seq that can no longer be replayed."""
    buffered_bytes: int = 0
    detached_at: float | None = None
    """When the last connection ended; None while there is one."""
    listener: Listener | None = None
    skipped: set[int] = field(default_factory=set)
    """Numbers that no dispatch has."""
    _until_resume: int | None = None
    """The intents that a RESUME gives back."""
    _entries: dict[int, Entry] = field(default_factory=dict, repr=False)

    @property
    def backlog(self) -> int:
        """Dispatches made and not yet on the wire."""
        return self.last_seq - self.sent_seq

    def append(self, event: str, body: bytes, now: float) -> int:
        """Add one dispatch and return its seq; the oldest leave when the buffer is full."""
        self.last_seq = seq = self.last_seq + 1
        self._entries[seq] = Entry(event, body, now)
        self.buffered_bytes += len(body) + ENTRY_OVERHEAD_BYTES
        self._forget_old(now)
        if self.listener is not None:
            self.listener.wake()
        return seq

    def skip(self, count: int, now: float) -> None:
        """Leave the next numbers out."""
        for seq in range(self.last_seq + 1, self.last_seq + count + 1):
            self._entries[seq] = Entry("", b"", now)
            self.skipped.add(seq)
            self.buffered_bytes += ENTRY_OVERHEAD_BYTES
        self.last_seq += count

    def repeat(self, count: int) -> None:
        """Let the present connection write the last dispatches again."""
        self.cursor = max(self.floor, self.cursor - count)
        if self.listener is not None:
            self.listener.wake()

    def entry(self, seq: int) -> Entry:
        """Return a buffered dispatch; ``floor < seq <= last_seq``."""
        return self._entries[seq]

    def text(self, seq: int) -> bytes:
        """Return the payload of a buffered dispatch as Discord writes it."""
        entry = self._entries[seq]
        return dispatch_text(dispatch_head(entry.event), seq, entry.body)

    def can_replay_after(self, seq: int) -> bool:
        """Tell whether a client may resume from ``seq``: it had it, and all that follows is still here."""
        return self.floor <= seq <= self.sent_seq

    def trim(self, seq: int) -> None:
        """Free the buffer up to ``seq``, which the client has said it holds."""
        while self.floor < min(seq, self.sent_seq):
            self._forget_oldest()

    def lose_intents(self, *, kept: int, until_resume: bool) -> None:
        """Go on without the intents that are not ``kept``; nobody is told."""
        if until_resume and self._until_resume is None:
            self._until_resume = self.intents
        self.intents &= kept

    def resume(self, seq: int) -> None:
        """Go on after ``seq``, with the intents that a RESUME gives back."""
        self.cursor = seq
        if self._until_resume is not None:
            self.intents, self._until_resume = self._until_resume, None

    def attach(self, listener: Listener) -> None:
        if self.listener is not None:
            self.listener.superseded()
        self.listener = listener
        self.detached_at = None

    def detach(self, listener: Listener, now: float) -> None:
        """Leave the session to a later RESUME; does nothing when another connection has it already."""
        if self.listener is listener:
            self.listener = None
            self.detached_at = now

    def _forget_old(self, now: float) -> None:
        # Nothing ages while the client is away: what it has not confirmed is what it will ask for.
        horizon = (now if self.detached_at is None else self.detached_at) - self.replay_ttl_s
        while self.floor < self.last_seq and (
            len(self._entries) > self.replay_capacity
            or self.buffered_bytes > self.replay_max_bytes
            or (self.floor < self.sent_seq and self._entries[self.floor + 1].at < horizon)
        ):
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self.floor += 1
        self.buffered_bytes -= len(self._entries.pop(self.floor).body) + ENTRY_OVERHEAD_BYTES
