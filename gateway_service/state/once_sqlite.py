"""Runs in one SQLite file, shared by the workers of this host."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway_service.sqlite_file import open_file
from gateway_service.state.once import Claim, Done, Granted, Held, RunKey
from gateway_service.state.sqlite_errors import sqlite_errors_mapped

_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS runs (
        key TEXT PRIMARY KEY,
        owner TEXT,     -- NULL when the run was made
        until REAL NOT NULL  -- UNIX seconds: the end of the lease, or when it is forgotten
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS runs_by_end ON runs (until);
"""
_BUSY_TIMEOUT_S: Final = 5.0
_TIDY_EVERY_S: Final = 60.0
# A transaction keeps every other worker waiting, so what is forgotten goes in portions.
_TIDY_AT_MOST: Final = 5000


class SqliteOnce:
    """See :class:`gateway_service.state.once.Once`."""

    def __init__(self, path: Path) -> None:
        """Open the file; make it and its folder if they are not there.

        Raises:
            StateUnavailable: It cannot be read or written.
        """
        self._path = path.absolute()
        self._lock = threading.Lock()
        self._tidy_at = 0.0
        with sqlite_errors_mapped(self._path):
            # What the operating system has is kept when a worker is killed; only a power cut may lose the last runs.
            self._connection = open_file(self._path, timeout_s=_BUSY_TIMEOUT_S, synchronous="NORMAL")
            self._connection.executescript(_SCHEMA)

    def begin(self, key: RunKey, owner: str, lease_s: float) -> Claim:
        now = time.time()
        with self._in_use():
            granted = self._connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE until <= ?"
                " RETURNING key",
                (str(key), owner, now + lease_s, now),
            ).fetchone()
            if granted:
                self._tidy(now)
                return Granted()
            holder, until = self._connection.execute(
                "SELECT owner, until FROM runs WHERE key = ?", (str(key),)
            ).fetchone()
        return Done() if holder is None else Held(until - now)

    def renew(self, keys: Iterable[RunKey], owner: str, lease_s: float) -> None:
        until = time.time() + lease_s
        with self._in_use():
            self._connection.executemany(
                "INSERT INTO runs VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET until = excluded.until WHERE owner = excluded.owner",
                [(str(key), owner, until) for key in keys],
            )

    def finish(self, key: RunKey, keep_s: float) -> None:
        with self._in_use():
            self._connection.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, NULL, ?)", (str(key), time.time() + keep_s)
            )

    def release(self, key: RunKey, owner: str) -> None:
        with self._in_use():
            self._connection.execute("DELETE FROM runs WHERE key = ? AND owner = ?", (str(key), owner))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _tidy(self, now: float) -> None:
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY_EVERY_S
            self._connection.execute(
                "DELETE FROM runs WHERE key IN (SELECT key FROM runs WHERE until <= ? LIMIT ?)", (now, _TIDY_AT_MOST)
            )

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock, sqlite_errors_mapped(self._path):
            yield
