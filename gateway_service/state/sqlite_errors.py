"""What SQLite's errors mean to whoever runs the service."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway_service.errors import StateUnavailable
from gateway_service.sqlite_file import cure, primary_code

_MORE: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_NOTADB: "; move it away or name another file",
    sqlite3.SQLITE_CORRUPT: "; move it away (shards will IDENTIFY instead of RESUME)",
}


# A log or an index that cannot grow is a failure of the disk to SQLite.
_OUT_OF_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})


def is_out_of_room(error: BaseException | None) -> bool:
    """Tell whether more room on the disk may be the cure."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in _OUT_OF_ROOM


@contextmanager
def sqlite_errors_mapped(path: Path) -> Iterator[None]:
    """Raise StateUnavailable, with a cure, for what goes wrong with the file at ``path``."""
    try:
        yield
    except sqlite3.Error as exc:
        raise StateUnavailable(str(path), cure(exc) + _MORE.get(primary_code(exc), "")) from exc
    except OSError as exc:
        raise StateUnavailable(str(path), f"it cannot be made: {exc.strerror}: {exc.filename}") from exc
