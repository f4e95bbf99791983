"""What the supervisor and the shard processes need from a store, and nothing more.

Every call blocks and may be made from any thread; several processes use one store at once. Every call may raise
:class:`~gateway_service.errors.StateUnavailable`, and may be tried again then.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from gateway_service.protocol.session import Session


class SessionStore(Protocol):
    """The sessions of one namespace: the newest of each shard."""

    def load(self, shard_id: int) -> Session | None:
        """Return the shard's session; None when there is none, or none that this version can read."""

    def save(self, sessions: Iterable[Session]) -> None:
        """Replace the sessions of these shards, all or none."""

    def forget(self, shard_id: int) -> None:
        """Delete the shard's session, if there is one."""


class IdentifyLog(Protocol):
    """When each identify key of the bot was last used, so that a restart keeps Discord's spacing."""

    def last_sent(self) -> Mapping[int, float]:
        """Return, for each key, the UNIX seconds of its last IDENTIFY."""

    def record(self, key: int, sent_at: float) -> None:
        """Note that ``key`` was used at ``sent_at`` (UNIX seconds); an earlier time than the noted one is ignored."""


class DesiredState(Protocol):
    """What operators want of the bot, kept until they want something else."""

    def desired(self) -> Mapping[str, str]:
        """Return every value by its name."""

    def desire(self, changes: Mapping[str, str | None]) -> None:
        """Set values, all or none; None deletes."""


class State(SessionStore, IdentifyLog, DesiredState, Protocol):
    """One open store."""

    def claim(self, shard_ids: Iterable[int]) -> frozenset[int]:
        """Take these shards for this process until it ends or closes the store.

        Two services that both run a shard would take its session from each other, again and again.

        Returns:
            The shards that another process has; when there are any, none is taken.
        """

    def close(self) -> None:
        """Release it; no call may follow."""
