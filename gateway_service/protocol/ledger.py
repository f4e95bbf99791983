"""The ledger of a session: what became of every dispatch that Discord numbered, in the form that is kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLedger:
    """The account of one session up to ``seq``, which the sequence numbers themselves have to confirm.

    The stored one goes to the published sequence, as the session beside it does: after a crash Discord replays what
    comes later, and it is counted then.
    """

    session: str
    """Hash of the session id."""
    shard_id: int
    num_shards: int
    opened_at: float
    """UNIX seconds."""
    first_seq: int
    """Of the first dispatch that is counted: READY's, unless the session is older than its ledger."""
    seq: int
    """Of the last dispatch that is counted."""
    heard_at: float
    """UNIX seconds at which the last dispatch arrived that an intent let through."""
    received: int = 0
    """Different dispatches read from the socket."""
    published: int = 0
    """Confirmed by the broker."""
    filtered: int = 0
    """Not to be published."""
    given_up: int = 0
    """Larger than the broker ever takes."""
    spooled: int = 0
    """On disk."""
    in_flight: int = 0
    """In memory."""
    lost: int = 0
    """Were here and were lost; a GATEWAY_GAP has told of them."""
    missing: int = 0
    """Numbers that Discord skipped, or whose dispatch could not be read; a GATEWAY_GAP has told of them."""
    replayed: int = 0
    """Of ``received``: those that a RESUME brought."""
    duplicates: int = 0
    """Arrived again while they were here, and were dropped."""
    gaps: int = 0
    """GATEWAY_GAP messages about this session."""
    spooled_from: int = 0
    spooled_to: int = 0
    """The first and the last sequence on disk, while ``spooled`` is not 0."""
    spool_files: tuple[str, ...] = ()
    """Names of the files that they are in, so that a file which is gone is told from one that was emptied."""
    in_flight_from: int = 0
    """The first sequence in memory, while ``in_flight`` is not 0; those behind it may be elsewhere."""
    oldest_at: float = 0.0
    """UNIX seconds at which the oldest of those on disk and in memory was received; 0 when none is there."""
    ended: str | None = None
    """Why the session cannot be resumed; None while it can."""
    unsent_gaps: tuple[Mapping[str, Any], ...] = ()
    """Payloads of GATEWAY_GAP messages that are in memory only."""

    @property
    def accounted(self) -> int:
        """How many dispatches are known to be somewhere."""
        return self.published + self.filtered + self.given_up + self.spooled + self.in_flight + self.lost

    @property
    def numbered(self) -> int:
        """How many dispatches Discord's sequence numbers say were received."""
        return self.seq - self.first_seq + 1 - self.missing

    @property
    def is_settled(self) -> bool:
        """True when nothing about the session will ever change."""
        return self.ended is not None and not (self.spooled or self.in_flight or self.unsent_gaps)

    def faults(self) -> tuple[str, ...]:
        """Return one sentence for each way in which the ledger does not balance; none when it does."""
        faults = []
        if self.received != self.accounted:
            faults.append(f"{self.received} dispatches were received and {self.accounted} are accounted for")
        if self.received != self.numbered:
            faults.append(
                f"the sequence numbers {self.first_seq} to {self.seq} without {self.missing} missing ones make "
                f"{self.numbered} dispatches and {self.received} were counted"
            )
        if min(self.in_flight, self.spooled, self.published) < 0:
            faults.append(f"a count is negative: {self.published=}, {self.spooled=}, {self.in_flight=}")
        return tuple(faults)

    def lose(self, count: int) -> "SessionLedger":
        """Return the ledger after ``count`` dispatches on disk turned out to be gone."""
        return replace(self, spooled=self.spooled - count, lost=self.lost + count)

    def publish(self, count: int) -> "SessionLedger":
        """Return the ledger after ``count`` dispatches on disk turned out to be published."""
        return replace(self, spooled=self.spooled - count, published=self.published + count)

    def lose_memory(self) -> "SessionLedger":
        """Return the ledger after the process died that had in memory what nobody can send again."""
        return replace(self, in_flight=0, in_flight_from=0, lost=self.lost + self.in_flight)

    def to_json(self) -> str:
        """Return a text that :meth:`from_json` reads back."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "SessionLedger":
        """Read what :meth:`to_json` wrote; what a later version added is passed over.

        Raises:
            ValueError: The text is no ledger.
        """
        try:
            stored: dict[str, Any] = json.loads(text)
            for name in ("unsent_gaps", "spool_files"):
                stored[name] = tuple(stored.get(name, ()))
            return cls(**{name: value for name, value in stored.items() if name in cls.__slots__})
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError("not a stored ledger") from exc
