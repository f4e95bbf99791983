"""What the supervisor and the shard processes need from a store, and nothing more.

Every call blocks and may be made from any thread; several processes use one store at once. Every call may raise
:class:`~gateway_service.errors.StateUnavailable`, and may be tried again then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session


class SessionStore(Protocol):
    """The sessions of one namespace: the newest of each shard."""

    def load(self, shard_id: int) -> Session | None:
        """Return the shard's session; None when there is none, or none that this version can read."""

    def save(
        self, sessions: Iterable[Session], *, forgotten: Iterable[int] = (), ledgers: Iterable[SessionLedger] = ()
    ) -> None:
        """Do all of this or nothing, so that sessions and ledgers tell of the same moment.

        Args:
            sessions: Replace those of their shards.
            forgotten: Shards whose session is deleted, if there is one.
            ledgers: Replace those of their sessions.
        """


class Ledger(Protocol):
    """The ledgers of a bot's sessions, those of every shard count; of ended ones the newest of each shard."""

    def ledgers(self) -> list[SessionLedger]:
        """Return them by shard, the oldest first; without those that this version cannot read."""


@dataclass(frozen=True, slots=True)
class IdentifyRecord:
    """One IDENTIFY of the bot, or a permit for one that may have been used."""

    number: int
    """Grows with every record of a store."""
    shard_id: int
    num_shards: int
    sent_at: float
    """UNIX seconds."""


class IdentifyLog(Protocol):
    """The IDENTIFYs of the bot, whichever of its services sent them and whatever its shard count was."""

    def identifies(self, after: int = 0) -> Sequence[IdentifyRecord]:
        """Return the newest records whose number is above ``after``, oldest first; more than any bot has in a day."""

    def record_identify(self, shard_id: int, sent_at: float) -> int:
        """Note an IDENTIFY and return the number of the record."""

    def correct_identify(self, number: int, sent_at: float) -> None:
        """Set the time of a record right."""


class DesiredState(Protocol):
    """What operators want of the bot, kept until they want something else."""

    def desired(self) -> Mapping[str, str]:
        """Return every value by its name."""

    def desire(self, changes: Mapping[str, str | None]) -> None:
        """Set values, all or none; None deletes."""


class State(SessionStore, Ledger, IdentifyLog, DesiredState, Protocol):
    """One open store."""

    def claim(self, shard_ids: Iterable[int]) -> frozenset[int]:
        """Take these shards for this process until it ends or closes the store.

        Two services that both run a shard would take its session from each other, again and again.

        Returns:
            The shards that another process has; when there are any, none is taken.
        """

    def close(self) -> None:
        """Release it; no call may follow."""
