"""One file of the spool: dispatches on disk that the broker has not confirmed yet, oldest first."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway_service.errors import SpoolCorrupt, SpoolUnavailable
from gateway_service.publisher.envelope import ENVELOPE_OVERHEAD_BYTES, Envelope
from gateway_service.sqlite_file import cure, is_damage, open_file, primary_code, transaction

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
    CREATE TABLE dispatches (
        id INTEGER PRIMARY KEY,
        event BLOB NOT NULL,
        seq INTEGER NOT NULL,
        session TEXT NOT NULL,
        shard_id INTEGER NOT NULL,
        num_shards INTEGER NOT NULL,
        guild_id TEXT,
        received_at REAL NOT NULL,
        kind TEXT,
        raw BLOB NOT NULL
    )
"""
_READ: Final = """
    SELECT id, event, seq, session, shard_id, num_shards, guild_id, received_at, kind, raw
    FROM dispatches WHERE id > ? ORDER BY id LIMIT ?
"""
_FOLLOWING: Final = """
    SELECT id, event, seq, session, shard_id, num_shards, guild_id, received_at, kind, raw
    FROM dispatches WHERE session = ? AND seq > ? GROUP BY seq ORDER BY seq
"""
_SUMMARY: Final = """
    SELECT session, shard_id, num_shards, count(*), sum(length(raw) + ?), min(seq), max(seq), min(received_at)
    FROM dispatches GROUP BY session, shard_id, num_shards
"""
# A JSON name may hold lone surrogates, which are no text to SQLite.
_SURROGATES: Final = "surrogatepass"
BUSY: Final = "another process has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What one session has in a file."""

    session: str
    """A session hash."""
    shard_id: int
    num_shards: int
    count: int
    size_bytes: int
    first_seq: int
    last_seq: int
    oldest_at: float
    """UNIX seconds at which its oldest dispatch was received."""


class SpoolFile:
    """A SQLite file in WAL mode that one process has for itself, until it closes it or ends.

    Every call blocks and may raise :class:`~gateway_service.errors.SpoolUnavailable`; nothing of the call has
    happened then. What :meth:`append` returned is on the disk, also after a power cut.
    """

    def __init__(self, path: Path, last_row: int = 0) -> None:
        """Open the file; make it and its folder if they are not there.

        Args:
            path: The file.
            last_row: Rows that are added have larger numbers than this one.

        Raises:
            SpoolUnavailable: It cannot be read or written, or another process has it.
            SpoolCorrupt: It is there and cannot be understood.
        """
        self.path = path
        self._next_row = last_row + 1
        with self._errors_mapped():
            # What is in here counts as safe, so a power cut must not take it.
            self._connection = open_file(path, timeout_s=0.0, synchronous="FULL", is_exclusive=True)
            try:
                # Where SQLite was built to overwrite what is deleted, emptying the spool would write it all once more.
                self._connection.execute("PRAGMA secure_delete = FAST")
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    @property
    def last_row(self) -> int:
        """The newest row there ever was."""
        return self._next_row - 1

    @property
    def reusable_bytes(self) -> int:
        """How much can be added before the file grows: what was deleted from it stays its own."""
        with self._errors_mapped():
            pages, page_bytes = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size")
            )
        return int(pages * page_bytes)

    def append(self, envelopes: Sequence[Envelope]) -> range:
        """Write envelopes behind all others, in one transaction, and return their rows."""
        rows = range(self._next_row, self._next_row + len(envelopes))
        values = [
            (
                row,
                each.event.encode("utf-8", _SURROGATES),
                each.seq,
                each.session,
                each.shard_id,
                each.num_shards,
                None if each.guild_id is None else str(each.guild_id),
                each.received_at,
                each.kind,
                each.raw,
            )
            for row, each in zip(rows, envelopes, strict=True)
        ]
        with self._errors_mapped(), transaction(self._connection):
            self._connection.executemany("INSERT INTO dispatches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._next_row = rows.stop
        return rows

    def read(self, after: int, limit: int, limit_bytes: int) -> list[Envelope]:
        """Return the oldest envelopes whose row is larger than ``after``.

        Args:
            after: A row; 0 for all.
            limit: At most so many.
            limit_bytes: Stop after the one that reaches this size.
        """
        envelopes: list[Envelope] = []
        size = 0
        with self._errors_mapped():
            found = self._connection.execute(_READ, (after, limit))
            with contextlib.closing(found):
                for row in found:
                    envelopes.append(_envelope(row))
                    size += len(envelopes[-1].raw)
                    if size >= limit_bytes:
                        break
        return envelopes

    def following(self, session: str, seq: int) -> list[Envelope]:
        """Return the dispatches of a session that follow ``seq`` without a number between them missing."""
        with self._errors_mapped():
            found = [_envelope(row) for row in self._connection.execute(_FOLLOWING, (session, seq))]
        return [each for number, each in enumerate(found, start=seq + 1) if each.seq == number]

    def delete(self, rows: Sequence[int]) -> None:
        """Remove rows in one transaction."""
        with self._errors_mapped(), transaction(self._connection):
            self._connection.executemany("DELETE FROM dispatches WHERE id = ?", [(row,) for row in rows])

    def contents(self) -> list[Rows]:
        """Return what is there, by session."""
        with self._errors_mapped():
            return [
                Rows(
                    session=session,
                    shard_id=shard_id,
                    num_shards=num_shards,
                    count=count,
                    size_bytes=size_bytes,
                    first_seq=first_seq,
                    last_seq=last_seq,
                    oldest_at=oldest_at,
                )
                for session, shard_id, num_shards, count, size_bytes, first_seq, last_seq, oldest_at in (
                    self._connection.execute(_SUMMARY, (ENVELOPE_OVERHEAD_BYTES,)).fetchall()
                )
            ]

    def close(self) -> None:
        """Release the file; no call may follow."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def clear(self) -> None:
        """Close the file and leave nothing of it but its name, see :func:`is_cleared`.

        Raises:
            SpoolUnavailable: It cannot be written.
        """
        self.close()
        _, *logs = _parts(self.path)
        try:
            for log in logs:  # before the file itself: a crash in between repeats, and loses nothing
                log.unlink(missing_ok=True)
            os.truncate(self.path, 0)
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise SpoolUnavailable(str(self.path), f"it cannot be emptied: {exc.strerror}") from exc

    def _prepare(self) -> None:
        with transaction(self._connection):
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._connection.execute(_SCHEMA)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise SpoolCorrupt(str(self.path), f"it has schema {version} and this version knows {SCHEMA_VERSION}")
        newest = self._connection.execute("SELECT coalesce(max(id), 0) FROM dispatches").fetchone()[0]
        self._next_row = max(self._next_row, newest + 1)

    @contextlib.contextmanager
    def _errors_mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            error = SpoolCorrupt if is_damage(exc) else SpoolUnavailable
            raise error(str(self.path), BUSY if primary_code(exc) == sqlite3.SQLITE_BUSY else cure(exc)) from exc
        except UnicodeDecodeError as exc:
            raise SpoolCorrupt(str(self.path), "it is damaged") from exc
        except OSError as exc:
            raise SpoolUnavailable(str(self.path), f"it cannot be made: {exc.strerror}: {exc.filename}") from exc


def is_cleared(path: Path) -> bool:
    """Tell whether everything that was in a file has been taken out of it; False for one that is not there."""
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return False


def move_aside(path: Path, name: str) -> Path:
    """Rename a file that cannot be understood, with its log; return its new path.

    Raises:
        SpoolUnavailable: It cannot be renamed.
    """
    for part in _parts(path):
        try:
            part.rename(part.with_name(name + part.name.removeprefix(path.name)))
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise SpoolUnavailable(str(path), f"it is damaged and cannot be moved aside: {exc.strerror}") from exc
    return path.with_name(name)


def _parts(path: Path) -> tuple[Path, ...]:
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _envelope(row: Sequence[Any]) -> Envelope:
    number, event, seq, session, shard_id, num_shards, guild_id, received_at, kind, raw = row
    envelope = Envelope(
        event.decode("utf-8", _SURROGATES),
        seq,
        session,
        shard_id,
        num_shards,
        None if guild_id is None else int(guild_id),
        received_at,
        kind,
        raw,
    )
    envelope.row = number
    return envelope
