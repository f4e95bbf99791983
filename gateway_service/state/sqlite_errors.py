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


@contextmanager
def sqlite_errors_mapped(path: Path) -> Iterator[None]:
    """Raise StateUnavailable, with a cure, for what goes wrong with the file at ``path``."""
    try:
        yield
    except sqlite3.Error as exc:
        raise StateUnavailable(str(path), cure(exc) + _MORE.get(primary_code(exc), "")) from exc
    except OSError as exc:
        raise StateUnavailable(str(path), f"it cannot be made: {exc.strerror}: {exc.filename}") from exc
