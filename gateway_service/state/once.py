"""Which runs were made already: what the handlers with ``once=True`` need from a store, and nothing more.

Every call blocks and may be made from any thread. Every call may raise
:class:`~gateway_service.errors.StateUnavailable`, and may be tried again then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway_service.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Granted:
    """The run is the caller's until its lease ends."""


@dataclass(frozen=True, slots=True)
class Done:
    """The run was made, and must not be made again."""


@dataclass(frozen=True, slots=True)
class Held:
    """Another owner is at it, or died over it: its lease ends in ``for_s`` seconds unless it is renewed."""

    for_s: float


Claim = Granted | Done | Held


@dataclass(frozen=True, slots=True)
class RunKey:
    """Which run; those of several bots may be in one store."""

    bot_id: str
    run: str

    def __str__(self) -> str:
        return f"{self.bot_id}:{self.run}"


class Once(Protocol):
    """What is known of each run, by its key. An owner is whoever may be under way with several of them."""

    def begin(self, key: RunKey, owner: str, lease_s: float) -> Claim:
        """Ask for a run: of all who ask at the same moment, one gets it."""

    def renew(self, keys: Iterable[RunKey], owner: str, lease_s: float) -> None:
        """Let the leases end ``lease_s`` seconds from now, also those of which the store knows nothing any more.

        What went to another is left alone.
        """

    def finish(self, key: RunKey, keep_s: float) -> None:
        """Note that the run was made, whoever has the lease by now. It is known for ``keep_s`` seconds."""

    def release(self, key: RunKey, owner: str) -> None:
        """Give the lease back without having made the run; nothing happens if it went to another."""

    def close(self) -> None:
        """Release what is open; no call may follow."""


def open_once(url: str) -> Once:
    """Open the store that ``url`` names, and make it if it is not there yet.

    Args:
        url: ``sqlite:///path`` for the processes of one host, ``redis://…`` or ``rediss://…`` for many hosts.

    Raises:
        ConfigurationError: The URL is of no known form, or names a node of a Redis Cluster.
        StateUnavailable: The store cannot be used now.
    """
    # Imported here so that a process loads the client of its own store only.
    if url.startswith("sqlite:///"):
        from gateway_service.state.once_sqlite import SqliteOnce

        return SqliteOnce(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("redis://", "rediss://")):
        from gateway_service.state.once_redis import RedisOnce

        return RedisOnce(url)
    raise ConfigurationError("once_url: must begin with sqlite:///, redis:// or rediss://")
