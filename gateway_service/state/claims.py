"""Which shards the processes of this machine run: byte-range locks, which end with a process whatever ends it."""

import fcntl
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gateway_service.state.namespace import Namespace

# Each namespace has its own range of bytes and each shard one byte in it; nothing is ever written there.
_SHARD_BITS: Final = 20


class Claims:
    """The claims of this process on the shards of one namespace. See :mod:`gateway_service.state.ports`."""

    def __init__(self, path: Path, namespace: Namespace) -> None:
        """Open the lock file; make it if it is not there.

        Raises:
            OSError: It cannot be opened.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        name = f"{namespace.bot_id}:{namespace.num_shards}"
        self._start = zlib.crc32(name.encode()) << _SHARD_BITS

    def take(self, shard_ids: Iterable[int]) -> frozenset[int]:
        """Take all of these shards, or return those that another process has.

        Raises:
            OSError: The file system knows no locks.
        """
        wanted = tuple(shard_ids)
        taken = frozenset(shard_id for shard_id in wanted if not self._lock(shard_id))
        if taken:
            for shard_id in wanted:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._start + shard_id)
        return taken

    def close(self) -> None:
        """Give everything back."""
        os.close(self._descriptor)

    def _lock(self, shard_id: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._start + shard_id)
        except (BlockingIOError, PermissionError):  # POSIX lets systems choose between the two
            return False
        return True
