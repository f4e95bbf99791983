"""The folder that the processes of one bot on one host share for their spool files."""

import contextlib
import fcntl
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from gateway_service.errors import SpoolUnavailable
from gateway_service.publisher.spool_file import move_aside
from gateway_service.sqlite_file import nearest_existing, obstacle_to

# What stays free of the disk, a quarter of a small one; several processes write up to 4 MiB at once, and twice.
RESERVE_BYTES: Final = 32 * 1024 * 1024
_DAMAGED: Final = ".damaged-"
# Five seconds apart, so longer than a process drains, which may have cleared the file and looks as well.
_LOOKS: Final = 4
_LOCK: Final = ".lock"


class Room(NamedTuple):
    """How much of a disk is free, in bytes, and how much has to stay free."""

    free_bytes: int
    reserve_bytes: int


class SpoolFolder:
    """Names the files in it after their makers, and lets one process at a time make them or take them over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._looks = Counter[str]()
        """How often each file was seen cleared."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if need be and hold its lock, so that no file is taken between its making and its opening.

        Raises:
            SpoolUnavailable: It cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            reason = f"it cannot be made or written: {exc.strerror}: {exc.filename}"
            raise SpoolUnavailable(str(self.path), reason) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def try_lock(self) -> None:
        """Find out whether :meth:`locked` would succeed, and make nothing, which would be this user's.

        Raises:
            SpoolUnavailable: The folder cannot be made or written.
        """
        if os.access(self.path / _LOCK, os.F_OK):
            with self.locked():
                return
        if obstacle := obstacle_to(self.path):
            raise SpoolUnavailable(str(self.path), f"it cannot be made or written: {obstacle}")

    def files(self) -> list[Path]:
        """Return the files of all processes, the one that was written last at the end."""
        return sorted(self.path.glob("*.db"), key=_modified_at)

    def saw_cleared(self, path: Path) -> None:
        """Delete a file that has nothing but a name, once everybody knows that.

        Who finds no name takes the rows that were in the file for lost. A ledger may have it as long as its process has
        neither looked nor saved since, or was killed before it did.
        """
        self._looks[path.name] += 1
        if self._looks[path.name] >= _LOOKS:
            del self._looks[path.name]
            with contextlib.suppress(OSError):  # it may stay
                path.unlink()

    def damaged_files(self) -> frozenset[str]:
        """Return the names that files had which are set aside because they are damaged."""
        return frozenset(path.name.partition(_DAMAGED)[0] for path in self.path.glob(f"*.db{_DAMAGED}*"))

    def new_file(self, shard_id: int, num_shards: int) -> Path:
        """Return the path for a file of the process whose first shard this is."""
        return self.path / f"{num_shards}-{shard_id}-{uuid.uuid4().hex[:8]}.db"

    def room(self) -> Room:
        """Look at the disk, also of a folder that is yet to be made."""
        try:
            disk = os.statvfs(nearest_existing(self.path))
        except OSError:
            return Room(0, 0)  # whoever writes will learn why
        return Room(disk.f_bavail * disk.f_frsize, min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // 4))


def first_shard_of(path: Path) -> tuple[int, int]:
    """Return the first shard of the process that made a file, and its number of shards."""
    num_shards, _, rest = path.name.partition("-")
    shard_id = rest.partition("-")[0]
    return (int(shard_id), int(num_shards)) if shard_id.isdecimal() and num_shards.isdecimal() else (-1, 0)


def set_damaged_aside(path: Path) -> Path:
    """Rename a file so that nobody takes it over, and return its new path; see :func:`move_aside`."""
    return move_aside(path, f"{path.name}{_DAMAGED}{int(time.time())}")


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
