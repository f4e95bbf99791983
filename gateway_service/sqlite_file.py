"""What every SQLite file of the service has in common: how it is opened, its transactions, what its errors mean."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

_CURES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_BUSY: "another program has it locked; close that program",
    sqlite3.SQLITE_LOCKED: "another program has it locked; close that program",
    sqlite3.SQLITE_READONLY: "it cannot be written; give this user the right to write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give this user the right to read and write the file and its folder",
    sqlite3.SQLITE_PERM: "it cannot be opened; give this user the right to read and write the file and its folder",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write it; is it full?",
}
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def open_file(
    path: Path, *, timeout_s: float, synchronous: Literal["NORMAL", "FULL"], is_exclusive: bool = False
) -> sqlite3.Connection:
    """Open a file in WAL mode for every thread; make it and its folder, readable by this user only, when it is missing.

    Args:
        path: The file.
        timeout_s: How long to wait for another process that writes.
        synchronous: Whether a power cut may take the last transactions; a crash of the process never does.
            See SQLite: PRAGMA synchronous.
        is_exclusive: Keep every other process out until the connection is closed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        if is_exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def nearest_existing(path: Path) -> Path:
    """Return an absolute path, or of the folders above it the closest one that is there."""
    return next(each for each in (path, *path.parents) if os.access(each, os.F_OK))


def obstacle_to(folder: Path) -> str | None:
    """Return why this user could not make or write a folder, and make nothing; None when it could."""
    there = nearest_existing(folder)
    is_writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return None if is_writable else f"{there} is no folder that this user may write"


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write-lock the file from the start: a read lock that grows fails at once when two processes try it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
        raise


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite; 0 when there is none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the content of the file cannot be understood."""
    return primary_code(error) in _DAMAGED


def cure(error: sqlite3.Error) -> str:
    """Return what is wrong and what would help, for whoever runs the service."""
    return _CURES.get(primary_code(error), str(error))
