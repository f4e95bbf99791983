"""State in one SQLite file on this machine, shared by the supervisor and all shard processes."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.sqlite_file import open_file, primary_code, transaction
from gateway_service.state.claims import Claims
from gateway_service.state.namespace import Namespace
from gateway_service.state.ports import IdentifyRecord
from gateway_service.state.sqlite_errors import sqlite_errors_mapped

SCHEMA_VERSION: Final = 2
_SCHEMA: Final = (
    """
    CREATE TABLE sessions (
        bot_id TEXT NOT NULL,
        num_shards INTEGER NOT NULL,
        shard_id INTEGER NOT NULL,
        session TEXT NOT NULL,
        PRIMARY KEY (bot_id, num_shards, shard_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE desired (
        bot_id TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (bot_id, name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE identifies (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        bot_id TEXT NOT NULL,
        num_shards INTEGER NOT NULL,
        shard_id INTEGER NOT NULL,
        sent_at REAL NOT NULL
    )
    """,
    """
    CREATE TABLE ledgers (
        bot_id TEXT NOT NULL,
        session TEXT NOT NULL,
        num_shards INTEGER NOT NULL,
        shard_id INTEGER NOT NULL,
        opened_at REAL NOT NULL,
        ledger TEXT NOT NULL,
        PRIMARY KEY (bot_id, session)
    ) WITHOUT ROWID
    """,
)
# Far more than all bots of one store may send in a day.
MAX_IDENTIFIES: Final = 20_000
# A shard that loses one session after the other must not fill the disk with the accounts of them.
_PRUNE: Final = """
    DELETE FROM ledgers WHERE bot_id = ? AND num_shards = ? AND shard_id = ? AND session NOT IN (
        SELECT session FROM ledgers WHERE bot_id = ? AND num_shards = ? AND shard_id = ?
        ORDER BY opened_at DESC LIMIT 20
    )
"""
# A writer holds the file for well below a millisecond. This long only passes when the disk hangs or a foreign program
# (a backup, a shell) has the file locked. A drain may have to wait for it twice, inside its ten seconds.
DEFAULT_BUSY_TIMEOUT_S: Final = 2.0


class SqliteState:
    """The sessions and the identify log of one namespace in one file. See :mod:`gateway_service.state.ports`."""

    def __init__(
        self,
        path: Path,
        namespace: Namespace,
        *,
        busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S,
        max_identifies: int = MAX_IDENTIFIES,
    ) -> None:
        """Open the file; make it and its folder if they are not there.

        Raises:
            StateUnavailable: It cannot be read or written, or a newer version made it.
        """
        self._path = path.absolute()
        self._namespace = namespace
        self._busy_timeout_s = busy_timeout_s
        self._max_identifies = max_identifies
        self._lock = threading.Lock()
        self._is_closed = False
        self._claims: Claims | None = None
        with sqlite_errors_mapped(self._path):
            self._open()

    def load(self, shard_id: int) -> Session | None:
        with self._in_use():
            row = self._connection.execute(
                "SELECT session FROM sessions WHERE bot_id = ? AND num_shards = ? AND shard_id = ?",
                (self._namespace.bot_id, self._namespace.num_shards, shard_id),
            ).fetchone()
        if row is None:
            return None
        try:
            return Session.from_json(row[0])
        except ValueError:
            return None

    def save(
        self, sessions: Iterable[Session], *, forgotten: Iterable[int] = (), ledgers: Iterable[SessionLedger] = ()
    ) -> None:
        bot_id, num_shards = self._namespace.bot_id, self._namespace.num_shards
        gone = [(bot_id, num_shards, shard_id) for shard_id in forgotten]
        rows = [(bot_id, num_shards, session.shard_id, session.to_json()) for session in sessions]
        accounts = [(bot_id, each.session, each.num_shards, each.shard_id, each.opened_at, each) for each in ledgers]
        with self._in_use(), transaction(self._connection):
            execute_many = self._connection.executemany
            execute_many("DELETE FROM sessions WHERE bot_id = ? AND num_shards = ? AND shard_id = ?", gone)
            execute_many("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", rows)
            execute_many(
                "INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?, ?, ?, ?)",
                [(*row, ledger.to_json()) for *row, ledger in accounts],
            )
            execute_many(_PRUNE, [(bot_id, each.num_shards, each.shard_id) * 2 for each in ledgers if each.ended])

    def ledgers(self) -> list[SessionLedger]:
        with self._in_use():
            rows = self._connection.execute(
                "SELECT ledger FROM ledgers WHERE bot_id = ? ORDER BY num_shards, shard_id, opened_at",
                (self._namespace.bot_id,),
            ).fetchall()
        return [ledger for (text,) in rows if (ledger := _ledger(text)) is not None]

    def identifies(self, after: int = 0) -> Sequence[IdentifyRecord]:
        with self._in_use():
            rows = self._connection.execute(
                "SELECT number, shard_id, num_shards, sent_at FROM identifies WHERE number > ? AND bot_id = ?"
                " ORDER BY number",
                (after, self._namespace.bot_id),
            ).fetchall()
        return [IdentifyRecord(*row) for row in rows]

    def record_identify(self, shard_id: int, sent_at: float) -> int:
        with self._in_use(), transaction(self._connection):
            number = self._connection.execute(
                "INSERT INTO identifies (bot_id, num_shards, shard_id, sent_at) VALUES (?, ?, ?, ?)",
                (self._namespace.bot_id, self._namespace.num_shards, shard_id, sent_at),
            ).lastrowid
            # By number and not by time: a clock that was set must not make us forget what was spent.
            self._connection.execute(
                "DELETE FROM identifies WHERE number <= ?", ((number or 0) - self._max_identifies,)
            )
        return number or 0

    def correct_identify(self, number: int, sent_at: float) -> None:
        with self._in_use():
            self._connection.execute("UPDATE identifies SET sent_at = ? WHERE number = ?", (sent_at, number))

    def desired(self) -> Mapping[str, str]:
        with self._in_use():
            rows = self._connection.execute(
                "SELECT name, value FROM desired WHERE bot_id = ?", (self._namespace.bot_id,)
            ).fetchall()
        return dict(rows)

    def desire(self, changes: Mapping[str, str | None]) -> None:
        bot_id = self._namespace.bot_id
        with self._in_use(), transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM desired WHERE bot_id = ? AND name = ?", [(bot_id, name) for name in changes]
            )
            self._connection.executemany(
                "INSERT INTO desired VALUES (?, ?, ?)",
                [(bot_id, name, value) for name, value in changes.items() if value is not None],
            )

    def claim(self, shard_ids: Iterable[int]) -> frozenset[int]:
        with self._in_use():
            if self._claims is None:
                self._claims = Claims(self._path.with_name(f"{self._path.name}.lock"), self._namespace)
            return self._claims.take(shard_ids)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._connection.close()
            if self._claims is not None:
                self._claims.close()
                self._claims = None

    def _open(self) -> None:
        # A crash of the machine may lose the last commits; what they said about sessions is minutes old anyway when the
        # machine is back.
        self._connection = open_file(self._path, timeout_s=self._busy_timeout_s, synchronous="NORMAL")
        try:
            self._prepare()
            self._file = _identity_of(self._path)
        except BaseException:
            self._connection.close()
            raise

    def _refuse_lost_file(self) -> None:
        """Notice that the file is not in its place any more: SQLite would write on, where nobody finds it.

        A new one takes its place at once, and the failure tells the caller to write everything again.
        """
        if not self._is_closed and _identity_of(self._path) != self._file:
            self._connection.close()
            self._open()
            raise StateUnavailable(str(self._path), "it was removed or replaced while in use; it is made again")

    def _prepare(self) -> None:
        with transaction(self._connection):
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in (*_SCHEMA, f"PRAGMA user_version = {SCHEMA_VERSION}"):
                    self._connection.execute(statement)
            elif version != SCHEMA_VERSION:
                raise StateUnavailable(
                    str(self._path),
                    f"it has schema {version} and this version knows {SCHEMA_VERSION}; name another file",
                )
        try:
            # Also when it says so already: a file that cannot be written would only fail at the first session.
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except sqlite3.Error as exc:
            # A full disk is freed again, and what is stored can be read: shards shall resume meanwhile.
            if version == 0 or primary_code(exc) != sqlite3.SQLITE_FULL:
                raise

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock, sqlite_errors_mapped(self._path):
            self._refuse_lost_file()
            yield


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _ledger(text: str) -> SessionLedger | None:
    try:
        return SessionLedger.from_json(text)
    except ValueError:
        return None
