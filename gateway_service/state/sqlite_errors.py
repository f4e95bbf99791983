"""What SQLite's errors mean to whoever runs the service."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway_service.errors import StateUnavailable

_CURES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_BUSY: "another program has it locked; close that program",
    sqlite3.SQLITE_LOCKED: "another program has it locked; close that program",
    sqlite3.SQLITE_READONLY: "it cannot be written; give this user the right to write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give this user the right to read and write the file and its folder",
    sqlite3.SQLITE_PERM: "it cannot be opened; give this user the right to read and write the file and its folder",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file; move it away or name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged; move it away (shards will IDENTIFY instead of RESUME)",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write it",
}


@contextmanager
def sqlite_errors_mapped(path: Path) -> Iterator[None]:
    """Raise StateUnavailable, with a cure, for what goes wrong with the file at ``path``."""
    try:
        yield
    except sqlite3.Error as exc:
        primary_code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        raise StateUnavailable(str(path), _CURES.get(primary_code, str(exc))) from exc
    except OSError as exc:
        raise StateUnavailable(str(path), f"it cannot be made: {exc.strerror}: {exc.filename}") from exc
