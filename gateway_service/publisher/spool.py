"""The spool of one shard process: where dispatches go when the broker takes none and the memory is needed."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

from gateway_service.errors import SpoolCorrupt, SpoolUnavailable
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.spool_file import BUSY, Rows, SpoolFile, is_cleared
from gateway_service.publisher.spool_folder import SpoolFolder, first_shard_of, set_damaged_aside

DEFAULT_MAX_BYTES: Final = 1024 * 1024 * 1024
_COPY_ROWS: Final = 2000
_COPY_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Which dispatches on disk a process publishes: those of its shards, and the first process also the strays."""

    num_shards: int
    shard_ids: Collection[int]
    service_shard_ids: Collection[int]
    """The shards of all processes of the service on this machine."""

    def owns(self, shard_id: int, num_shards: int) -> bool:
        """Tell whether the dispatches of a shard are this process's, so that each is published by exactly one."""
        if num_shards == self.num_shards and shard_id in self.service_shard_ids:
            return shard_id in self.shard_ids
        return min(self.service_shard_ids) in self.shard_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What earlier processes had left in the folder."""

    rows: tuple[Rows, ...] = ()
    """Taken over, by session."""
    files: frozenset[str] = frozenset()
    """Names of the files that are there, or were and had nothing but what was taken over."""
    left: frozenset[str] = frozenset()
    """Of those: left, at least in part, as living processes have them, or they cannot be read or moved."""
    damaged: tuple[Path, ...] = ()
    """What could not be understood, under its new name."""
    damaged_files: frozenset[str] = frozenset()
    """The old names of these, and of those that any process moved aside before."""
    failure: str | None = None
    """Why not everything could be taken over that nobody has."""


class Spool:
    """One file of this process in a folder shared with others.

    A file belongs to the process that made it until that process ends. What it leaves behind is taken over by
    :meth:`adopt`: by the process that runs the same shards now. Used by two threads; every call may block and raise
    :class:`~gateway_service.errors.SpoolUnavailable`.
    """

    def __init__(self, folder: Path, max_bytes: int, owner: Owner) -> None:
        """Prepare the spool; nothing is made on disk before it is needed.

        Args:
            folder: Of the spools of one bot; it has to outlive the process, because what is in it counts as safe.
            max_bytes: How much it may hold; 0 writes nothing and still publishes what others left.
            owner: Whose dispatches it takes over.
        """
        self._folder = SpoolFolder(folder)
        self.max_bytes = max_bytes
        self.rows = 0
        self.size_bytes = 0
        self.last_row = 0
        """The newest row there ever was: what comes later has larger numbers, or it would count as sent."""
        self._owner = owner
        self._file: SpoolFile | None = None
        self._lock = Lock()

    def why_full(self) -> str | None:
        """Return why nothing may be added now; None when something may."""
        if self.size_bytes >= self.max_bytes:
            return f"it has its {self.max_bytes} bytes"
        # Sessions are often stored on the same disk, and they must be saved for as long as anything is received.
        free_bytes, wanted_bytes = self._folder.room()
        # What was deleted from the file can be written again, but SQLite's log takes room of the disk first.
        reusable_bytes = self._reusable_bytes() if wanted_bytes // 2 <= free_bytes < wanted_bytes else 0
        if free_bytes + reusable_bytes < wanted_bytes:
            return f"its disk has {free_bytes} bytes free, and it leaves {wanted_bytes}"
        return None

    @property
    def file_name(self) -> str:
        """Name of the file that has the rows; empty when there is none."""
        file = self._file
        return "" if file is None else file.path.name

    @property
    def has_settled(self) -> bool:
        """True when so much room is free that receiving again will not fill the spool at once."""
        return self.size_bytes * 4 <= self.max_bytes * 3

    def append(self, envelopes: Sequence[Envelope]) -> range:
        """Write envelopes behind all others and return their rows; they are on the disk then."""
        with self._lock:
            if self._file is None:
                with self._folder.locked():
                    self._file = self._new_file()
            rows = self._file.append(envelopes)
            self.rows += len(rows)
            self.size_bytes += sum(each.size_bytes for each in envelopes)
            self.last_row = rows[-1]
            return rows

    def read(self, after: int, limit: int, limit_bytes: int) -> list[Envelope]:
        """Return the oldest envelopes whose row is larger than ``after``; see :meth:`SpoolFile.read`."""
        with self._lock:
            return self._file.read(after, limit, limit_bytes) if self._file is not None else []

    def following(self, session: str, seq: int) -> list[Envelope]:
        """Return the dispatches of a session that follow ``seq`` without a number between them missing."""
        with self._lock:
            return self._file.following(session, seq) if self._file is not None else []

    def delete(self, sizes: Mapping[int, int]) -> None:
        """Remove rows, given with their sizes: the broker has confirmed them."""
        with self._lock:
            if self._file is None:
                return
            is_emptied = len(sizes) == self.rows
            try:
                self._file.delete(tuple(sizes))
            except SpoolUnavailable:
                if not is_emptied:
                    raise
                self._clear_file()  # deleting rows takes room, of which a full disk has none
            self.rows -= len(sizes)
            self.size_bytes -= sum(sizes.values())

    def tidy(self) -> None:
        """Give the room of the file back when nothing is in it."""
        with self._lock:
            if not self.rows:
                self._clear_file()

    def _reusable_bytes(self) -> int:
        with self._lock, contextlib.suppress(SpoolUnavailable):  # whoever writes will learn why
            return self._file.reusable_bytes if self._file is not None else 0
        return 0

    def _clear_file(self) -> None:
        file = self._file
        if file is not None:
            with self._folder.locked():  # nobody may take it over in between
                self._file = None
                file.clear()

    def adopt(self) -> Adoption:
        """Take over what processes that are gone have left for this one.

        Makes the folder, so that one that cannot be made is noticed before it is needed.

        Raises:
            SpoolUnavailable: The folder cannot be made or written.
        """
        if not self.max_bytes and not self._folder.path.is_dir():
            return Adoption()
        adopted: dict[str, Rows] = {}
        damaged: list[Path] = []
        failure: str | None = None
        files, left = set[str](), set[str]()
        with self._lock, self._folder.locked():
            for path in self._folder.files():
                files.add(path.name)
                if self._file is not None and path == self._file.path:
                    continue
                try:
                    try:
                        if not is_cleared(path):
                            self._adopt_file(path, adopted)
                        elif self._owner.owns(*first_shard_of(path)):
                            self._folder.saw_cleared(path)
                    except SpoolCorrupt as exc:
                        if exc.where != str(path):  # it is our own file that is damaged
                            raise
                        damaged.append(set_damaged_aside(path))
                except SpoolUnavailable as exc:  # what the others have can be published nevertheless
                    left.add(path.name)
                    if exc.reason != BUSY:
                        failure = str(exc)
            damaged_files = self._folder.damaged_files()
        return Adoption(
            rows=tuple(adopted.values()),
            files=frozenset(files - damaged_files),
            left=frozenset(left),
            damaged=tuple(damaged),
            damaged_files=damaged_files,
            failure=failure,
        )

    def set_aside(self) -> Path | None:
        """Move the file of this process away because it turned out to be damaged; return where it is now."""
        with self._lock:
            file, self._file = self._file, None
            self.rows = self.size_bytes = 0
            if file is None:
                return None
            file.close()
            with contextlib.suppress(SpoolUnavailable):  # the next adoption comes upon it
                return set_damaged_aside(file.path)
            return None

    def close(self) -> None:
        """Release the file, and leave no more than its name when nothing is in it."""
        with self._lock:
            if not self.rows:
                self._clear_file()
            elif self._file is not None:
                self._file.close()
                self._file = None

    def _adopt_file(self, path: Path, adopted: dict[str, Rows]) -> None:
        """Take our rows out of one file, and count them even when not all of them could be taken."""
        file = SpoolFile(path)
        try:
            contents = file.contents()
            ours = [rows for rows in contents if self._owner.owns(rows.shard_id, rows.num_shards)]
            if ours and len(ours) == len(contents) and self._file is None and not self.last_row:
                self._file, self.last_row = file, file.last_row
                self._count(ours, adopted)
                return
            if ours:
                self._copy(file, adopted)
            if len(ours) == len(contents):
                file.clear()
        finally:
            if self._file is not file:
                file.close()

    def _copy(self, source: SpoolFile, adopted: dict[str, Rows]) -> None:
        if self._file is None:
            self._file = self._new_file()
        after = 0
        while batch := source.read(after, _COPY_ROWS, _COPY_BYTES):
            after = batch[-1].row
            ours = [each for each in batch if self._owner.owns(each.shard_id, each.num_shards)]
            if ours:
                # What is written here and cannot be deleted there would be published again and again.
                free_bytes, wanted_bytes = self._folder.room()
                if free_bytes < wanted_bytes // 2:
                    raise SpoolUnavailable(
                        str(source.path), f"its disk has {free_bytes} bytes free, too few to move it"
                    )
                self.last_row = self._file.append(ours)[-1]
                self._count(map(_row_of, ours), adopted)
                source.delete([each.row for each in ours])

    def _count(self, rows: Iterator[Rows] | Sequence[Rows], adopted: dict[str, Rows]) -> None:
        for each in rows:
            self.rows += each.count
            self.size_bytes += each.size_bytes
            before = adopted.get(each.session)
            adopted[each.session] = each if before is None else _sum(before, each)

    def _new_file(self) -> SpoolFile:
        path = self._folder.new_file(min(self._owner.shard_ids), self._owner.num_shards)
        return SpoolFile(path, self.last_row)


def _row_of(envelope: Envelope) -> Rows:
    return Rows(
        session=envelope.session,
        shard_id=envelope.shard_id,
        num_shards=envelope.num_shards,
        count=1,
        size_bytes=envelope.size_bytes,
        first_seq=envelope.seq,
        last_seq=envelope.seq,
        oldest_at=envelope.received_at,
    )


def _sum(one: Rows, other: Rows) -> Rows:
    return replace(
        one,
        count=one.count + other.count,
        size_bytes=one.size_bytes + other.size_bytes,
        first_seq=min(one.first_seq, other.first_seq),
        last_seq=max(one.last_seq, other.last_seq),
        oldest_at=min(one.oldest_at, other.oldest_at),
    )
