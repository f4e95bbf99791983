"""What the supervisor and the shard processes need from a store, and nothing more.

Every call blocks and may be made from any thread; several processes use one store at once. Every call may raise
:class:`~gateway_service.errors.StateUnavailable`, and may be tried again then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A session that cannot be resumed: the one of this shard with this permit, and every older one."""

    shard_id: int
    permit: int


class SessionStore(Protocol):
    """The sessions of one namespace: the newest of each shard."""

    def load(self, shard_id: int) -> Session | None:
        """Return the shard's session; None when there is none, or none that this version can read."""

    def save(
        self,
        sessions: Collection[Session],
        *,
        forgotten: Collection[Forgotten] = (),
        ledgers: Collection[SessionLedger] = (),
    ) -> frozenset[int]:
        """Write all of it in one transaction; with nothing to write, find out whether it could be written.

        A process that was paused, or whose shards another one took over, may still save what it holds. So neither does
        a session ever go back, nor one with an older permit take the place of a newer one.

        Args:
            sessions: Replace those of their shards.
            forgotten: Deleted, if they are there.
            ledgers: Replace those of their sessions, but one that goes on where the shard's session is refused.

        Returns:
            The shards whose session there is a newer one, which stays.
        """


class Ledger(Protocol):
    """The ledgers of a bot's sessions, those of every shard count; of ended ones the newest of each shard."""

    def ledgers(self) -> list[SessionLedger]:
        """Return them by shard, the oldest first; without those that this version cannot read."""


@dataclass(frozen=True, slots=True)
class IdentifyRecord:
    """A permit for one IDENTIFY of the bot, which may have been used."""

    number: int
    """Grows with every permit of a bot, also when a store that lost everything begins anew."""
    shard_id: int
    num_shards: int
    age_s: float
    """How long ago it was taken, by the clock of the store."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The permit is the caller's, and is on record."""

    number: int


@dataclass(frozen=True, slots=True)
class KeyBusy:
    """Another shard of the same rate limit key has the turn, for this long unless its service says more."""

    for_s: float


@dataclass(frozen=True, slots=True)
class Outdated:
    """Others took permits that the caller does not know of, so what it decided may be wrong."""


PermitAnswer = Taken | KeyBusy | Outdated


class IdentifyPermits(Protocol):
    """The IDENTIFYs of the bot, whichever of its services send them and whatever its shard count is."""

    def identifies(self, after: int = 0) -> Sequence[IdentifyRecord]:
        """Return the newest records whose number is above ``after``, oldest first; more than any bot has in a day."""

    def take_permit(self, shard_id: int, *, max_concurrency: int, known: int) -> PermitAnswer:
        """Ask for the turn of a shard's key, ``shard_id % max_concurrency``; of all who ask at once one gets it.

        Who takes it has the key until it says what became of it, or until it must have used it or died.

        Args:
            shard_id: Wants to IDENTIFY.
            max_concurrency: How many keys Discord allows the bot.
            known: The highest number that the decision to ask took into account.
        """

    def permit_used(self, shard_id: int, number: int) -> None:
        """Note that the IDENTIFY was sent or answered just now: the key is free when Discord's spacing is over."""

    def permit_unused(self, shard_id: int, number: int) -> None:
        """Free the key of a permit that never will be used; it stays on record."""


class DesiredState(Protocol):
    """What operators want of the bot, kept until they want something else."""

    def desired(self) -> Mapping[str, str]:
        """Return every value by its name."""

    def desire(self, changes: Mapping[str, str | None]) -> None:
        """Set values, all or none; None deletes."""


class State(SessionStore, Ledger, IdentifyPermits, DesiredState, Protocol):
    """One open store.

    A store that lost everything raises StateUnavailable once to each who has it open, so that everybody writes again
    what they hold.
    """

    @property
    def eviction_policy(self) -> str | None:
        """By which policy a store that is full drops what it has; None when it drops nothing, or does not tell."""

    def restore(
        self, identifies: Collection[IdentifyRecord], held: Mapping[int, int], desired: Mapping[str, str]
    ) -> None:
        """Add what the store may have lost, in one transaction; what it has stays.

        Args:
            identifies: Permits of the bot.
            held: Shards, by the number of a permit of ours that is among them and was not used yet.
            desired: Values by name.
        """

    def claim(self, shard_ids: Iterable[int]) -> frozenset[int]:
        """Take these shards for this process until it ends or closes the store.

        Two services that both run a shard would take its session from each other, again and again.

        Returns:
            The shards that another process has; when there are any, none is taken.
        """

    def close(self) -> None:
        """Release it; no call may follow."""
