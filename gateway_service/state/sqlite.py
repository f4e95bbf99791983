"""State in one SQLite file on this machine, shared by the supervisor and all shard processes."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.sqlite_file import open_file, primary_code, transaction
from gateway_service.state.claims import Claims
from gateway_service.state.limits import HELD_S, LEDGERS_KEPT, MAX_IDENTIFIES, readable
from gateway_service.state.namespace import Namespace
from gateway_service.state.ports import Forgotten, IdentifyRecord, KeyBusy, Outdated, PermitAnswer, Taken
from gateway_service.state.reserve import Reserve
from gateway_service.state.sqlite_errors import is_out_of_room, sqlite_errors_mapped
from gateway_service.state.sqlite_schema import FORGET_SESSION, PRUNE_LEDGERS, SAVE_SESSION, SCHEMA_VERSION, TABLES

# A writer holds the file for well below a millisecond. This long only passes when the disk hangs or a foreign program
# (a backup, a shell) has the file locked. A drain may have to wait for it twice, inside its ten seconds.
DEFAULT_BUSY_TIMEOUT_S: Final = 2.0


_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")
_Write = Callable[Concatenate["SqliteState", _Given], _Result]


def _with_reserve(write: _Write[_Given, _Result]) -> _Write[_Given, _Result]:
    """Try a write again at once when the disk is full and there is a reserve to give up."""

    @wraps(write)
    def tried(state: "SqliteState", /, *args: _Given.args, **given: _Given.kwargs) -> _Result:
        try:
            answer = write(state, *args, **given)
        except StateUnavailable as exc:
            if not (is_out_of_room(exc.__cause__) and state.reserve.spend()):
                raise
            return write(state, *args, **given)
        state.reserve.fill()
        return answer

    return tried


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
        self.eviction_policy: None = None  # a full disk is an error
        self._lock = threading.Lock()
        self._is_closed = False
        self._claims: Claims | None = None
        self.reserve = Reserve(self._path)
        """Given up when there is no other room on the disk."""
        self._start()

    def load(self, shard_id: int) -> Session | None:
        with self._in_use():
            row = self._connection.execute(
                "SELECT session FROM sessions WHERE bot_id = ? AND num_shards = ? AND shard_id = ?",
                (self._namespace.bot_id, self._namespace.num_shards, shard_id),
            ).fetchone()
        return None if row is None else readable(Session, row[0])

    @_with_reserve
    def save(
        self,
        sessions: Collection[Session],
        *,
        forgotten: Collection[Forgotten] = (),
        ledgers: Collection[SessionLedger] = (),
    ) -> frozenset[int]:
        bot_id, num_shards = self._namespace.bot_id, self._namespace.num_shards
        with self._in_use(), transaction(self._connection):
            self._connection.executemany(
                FORGET_SESSION, [(bot_id, num_shards, each.shard_id, each.permit) for each in forgotten]
            )
            if not (sessions or forgotten or ledgers):  # asked whether it can: SQLite writes this in any case
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            newer = {
                each.shard_id
                for each in sessions
                if not self._connection.execute(
                    SAVE_SESSION,
                    (bot_id, num_shards, each.shard_id, each.permit, each.session_id, each.seq, each.to_json()),
                ).rowcount
            }
            self._connection.executemany(
                "INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (bot_id, each.session, each.num_shards, each.shard_id, each.opened_at, each.to_json())
                    for each in ledgers
                    if each.ended or each.shard_id not in newer
                ],
            )
            self._connection.executemany(
                PRUNE_LEDGERS,
                [(*(bot_id, each.num_shards, each.shard_id) * 2, LEDGERS_KEPT) for each in ledgers if each.ended],
            )
        return frozenset(newer)

    def ledgers(self) -> list[SessionLedger]:
        with self._in_use():
            rows = self._connection.execute(
                "SELECT ledger FROM ledgers WHERE bot_id = ? ORDER BY num_shards, shard_id, opened_at",
                (self._namespace.bot_id,),
            ).fetchall()
        return [ledger for (text,) in rows if (ledger := readable(SessionLedger, text)) is not None]

    def identifies(self, after: int = 0) -> Sequence[IdentifyRecord]:
        with self._in_use():
            rows = self._connection.execute(
                "SELECT number, shard_id, num_shards, taken_at FROM identifies WHERE number > ? AND bot_id = ?"
                " ORDER BY number",
                (after, self._namespace.bot_id),
            ).fetchall()
        now = time.time()
        # A time in the future, from before the clock was set back, counts as this moment.
        return [
            IdentifyRecord(number, shard_id, num_shards, max(0.0, now - taken_at))
            for number, shard_id, num_shards, taken_at in rows
        ]

    @_with_reserve
    def take_permit(self, shard_id: int, *, max_concurrency: int, known: int) -> PermitAnswer:
        bot_id, num_shards = self._namespace.bot_id, self._namespace.num_shards
        with self._in_use(), transaction(self._connection):
            now = time.time()
            ask = self._connection.execute
            [last] = ask("SELECT MAX(number) FROM identifies WHERE bot_id = ?", (bot_id,)).fetchone()
            if (last or 0) > known:
                return Outdated()
            # No key is taken for longer than that: what says so is from before the clock was set back.
            [free_at] = ask(
                "SELECT MAX(free_at) FROM identifies WHERE bot_id = ? AND shard_id % ? = ? AND free_at <= ?",
                (bot_id, max_concurrency, shard_id % max_concurrency, now + HELD_S),
            ).fetchone()
            if (free_at or 0.0) > now:
                return KeyBusy(free_at - now)
            [newest] = ask("SELECT MAX(number) FROM identifies").fetchone()
            number = max(newest or 0, known, int(now * 1e6)) + 1
            ask(
                "INSERT INTO identifies VALUES (?, ?, ?, ?, ?, ?)",
                (number, bot_id, num_shards, shard_id, now, now + HELD_S),
            )
            # By count and not by time: a clock that was set must not make us forget what was spent.
            ask(
                "DELETE FROM identifies WHERE number <="
                " (SELECT number FROM identifies ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (self._max_identifies,),
            )
        return Taken(number)

    def permit_used(self, shard_id: int, number: int) -> None:
        self._free_key(shard_id, number, time.time() + IDENTIFY_SPACING_S)

    def permit_unused(self, shard_id: int, number: int) -> None:
        self._free_key(shard_id, number, 0.0)

    def desired(self) -> Mapping[str, str]:
        with self._in_use():
            rows = self._connection.execute(
                "SELECT name, value FROM desired WHERE bot_id = ?", (self._namespace.bot_id,)
            ).fetchall()
        return dict(rows)

    @_with_reserve
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

    @_with_reserve
    def restore(
        self, identifies: Collection[IdentifyRecord], held: Mapping[int, int], desired: Mapping[str, str]
    ) -> None:
        bot_id, now = self._namespace.bot_id, time.time()
        with self._in_use(), transaction(self._connection):
            self._connection.executemany(
                "INSERT OR IGNORE INTO identifies VALUES (?, ?, ?, ?, ?, 0)",
                [(each.number, bot_id, each.num_shards, each.shard_id, now - each.age_s) for each in identifies],
            )
            self._connection.executemany(
                "UPDATE identifies SET free_at = taken_at + ? WHERE number = ? AND shard_id = ?",
                [(HELD_S, number, shard_id) for number, shard_id in held.items()],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO desired VALUES (?, ?, ?)",
                [(bot_id, name, value) for name, value in desired.items()],
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

    @_with_reserve
    def _free_key(self, shard_id: int, number: int, free_at: float) -> None:
        with self._in_use():
            self._connection.execute(
                "UPDATE identifies SET free_at = ? WHERE number = ? AND shard_id = ?", (free_at, number, shard_id)
            )

    @_with_reserve
    def _start(self) -> None:
        with sqlite_errors_mapped(self._path):
            self._open()

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
                for statement in (*TABLES, f"PRAGMA user_version = {SCHEMA_VERSION}"):
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
