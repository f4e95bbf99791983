"""What outlives a process: sessions, and the IDENTIFYs of the bot."""

from pathlib import Path
from typing import Final

from gateway_service.errors import ConfigurationError, StateUnavailable
from gateway_service.state.namespace import Namespace, bot_id_of
from gateway_service.state.ports import (
    Forgotten,
    IdentifyPermits,
    IdentifyRecord,
    KeyBusy,
    Ledger,
    Outdated,
    PermitAnswer,
    SessionStore,
    State,
    Taken,
)

__all__ = [
    "Forgotten",
    "IdentifyPermits",
    "IdentifyRecord",
    "KeyBusy",
    "Ledger",
    "Namespace",
    "Outdated",
    "PermitAnswer",
    "SessionStore",
    "State",
    "Taken",
    "bot_id_of",
    "file_of",
    "open_state",
]

_SQLITE_PREFIX: Final = "sqlite:///"
_REDIS_PREFIXES: Final = ("redis://", "rediss://")


def open_state(url: str, namespace: Namespace, *, may_be_new: bool = True) -> State:
    """Open the store that ``url`` names.

    Args:
        url: ``sqlite:///relative/path.db`` or ``sqlite:////absolute/path.db`` for the services of one host,
            ``redis://…`` or ``rediss://…`` for many hosts.
        namespace: Whose state it is; several bots and shard counts share one store.
        may_be_new: Make a file that is not there yet.

    Raises:
        ConfigurationError: The URL is of no known form, or names a node of a Redis Cluster.
        StateUnavailable: The store cannot be read or written.
    """
    # Imported here so that a process loads the client of its own store only.
    if url.startswith(_REDIS_PREFIXES):
        from gateway_service.state.redis import RedisState

        return RedisState(url, namespace)
    path = file_of(url)
    if not (may_be_new or path.exists()):
        raise StateUnavailable(str(path), "there is no such file; call this in the folder of the service")
    from gateway_service.state.sqlite import SqliteState

    return SqliteState(path, namespace)


def file_of(url: str) -> Path:
    """Return the file that a URL of SQLite names.

    Raises:
        ConfigurationError: The URL is of no known form.
    """
    path = url.removeprefix(_SQLITE_PREFIX)
    if path in {url, "", "/"} or "?" in path:
        raise ConfigurationError("state_url: must be redis://host:6379/0, or sqlite:/// and a path, without a query")
    return Path(path)
