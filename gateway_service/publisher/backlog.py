"""The order of what is not confirmed yet: in flight, then the spool, then what waits in memory."""

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Final

from gateway_service.errors import SpoolUnavailable
from gateway_service.publisher.account import Account, Accounts
from gateway_service.publisher.bell import Bell
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.loss import Loss
from gateway_service.publisher.spool import Spool
from gateway_service.publisher.spool_file import Rows


class Backlog:
    """What the publisher and the spooler do with envelopes; :class:`Outbox` adds the receiving side.

    An envelope on disk is in memory as well while it is in flight. Its account is told of every step.
    """

    def __init__(self, max_bytes: int, spool: Spool | None) -> None:
        self.bell: Final = Bell()
        self.max_bytes: Final = max_bytes
        self.confirms = 0
        """How often the broker confirmed something."""
        self.reads = 0
        """How often the disk was read, failures left out."""
        self.read_error: SpoolUnavailable | None = None
        """Why the next envelopes cannot be read from the disk; whoever clears it lets them be tried again."""
        self._spool = spool
        self._accounts = Accounts()
        self._by_session = self._accounts.by_session
        self._waiting: deque[Envelope] = deque()
        self._again: deque[Envelope] = deque()  # refused, on disk and in memory: the next to be taken
        self._taken: deque[Envelope] = deque()  # may hold confirmed ones behind an unconfirmed one
        self._in_flight = 0
        self._received_bytes = 0
        self._released_bytes = 0
        self._spooling: tuple[Envelope, ...] = ()
        """On their way to the disk: neither waiting nor, after a rewind, taken."""
        self._num_spooling_taken = 0
        self._num_spooled = 0
        """Rows that are not confirmed."""
        self._last_row = self._sent_row = 0
        """The newest row there is, and the newest one that was taken."""
        self._settled: dict[int, int] = {}
        """The sizes of rows that are confirmed and not yet deleted from the spool."""
        self._lock = Lock()
        self._disk_lock = Lock()  # held around both, where the disk is read

    @property
    def has_spooled(self) -> bool:
        """True when something on disk is not confirmed yet."""
        return self._num_spooled > 0

    @property
    def has_waiting(self) -> bool:
        if self._spooling or self.read_error is not None:
            return False
        return bool(self._waiting or self._again or self._has_unsent_rows)

    @property
    def pending_bytes(self) -> int:
        """Bytes in memory."""
        return self._received_bytes - self._released_bytes

    @property
    def is_consistent(self) -> bool:
        """Tell whether the accounts know of exactly the envelopes that are here; for the receiving thread."""
        with self._lock:
            elsewhere = (*self._again, *self._taken, *self._spooling[self._num_spooling_taken :])
            in_memory_alone = sum(1 for each in elsewhere if not each.row and not each.is_confirmed)
            return len(self._waiting) + in_memory_alone == self._accounts.pending

    @property
    def in_flight(self) -> int:
        """How many are taken and not confirmed."""
        return self._in_flight

    @property
    def is_empty(self) -> bool:
        """True when everything that came in is confirmed."""
        return self._received_bytes == self._released_bytes and not self.has_spooled

    # The publisher's.

    def take(self, limit: int, limit_bytes: int) -> list[Envelope]:
        """Return the oldest waiting envelopes in order, for publishing; none while they are on their way to the disk.

        Args:
            limit: At most so many.
            limit_bytes: Stop after the one that reaches this size.
        """
        if self._has_unsent_rows and not self._again:
            return self._take_rows(limit, limit_bytes)
        with self._lock:
            if self._spooling:
                return []
            batch = _pop(self._again, limit, limit_bytes)
            if not self._has_unsent_rows:
                size = sum(len(each.raw) for each in batch)
                batch += _pop(self._waiting, limit - len(batch), limit_bytes - size)
            self._taken.extend(batch)
            self._in_flight += len(batch)
            return batch

    def confirm(self, envelopes: Sequence[Envelope]) -> None:
        """Let go of taken envelopes that the broker has, in whatever order it said so."""
        accounts, taken = self._by_session, self._taken
        touched: dict[str, Account] = {}
        with self._lock:
            for envelope in envelopes:
                envelope.is_confirmed = True
                session = envelope.session
                account = touched.get(session)
                if account is None:
                    account = touched[session] = accounts[session]
                size = envelope.size_bytes
                account.published += 1
                account.released_bytes += size
                self._released_bytes += size
                if envelope.row:
                    account.leave_spool(envelope)
                    self._num_spooled -= 1
                    self._settled[envelope.row] = size
            self.confirms += bool(envelopes)
            self._in_flight -= len(envelopes)
            while taken and taken[0].is_confirmed:
                first = taken.popleft()
                # Confirms come out of order: what is on disk begins behind what was taken first and is confirmed.
                if first.row and not self._again and (owner := accounts.get(first.session)) is not None:
                    owner.pass_in_spool(first)
            self._accounts.advance(touched)

    def give_up(self, max_body_bytes: int) -> list[Envelope]:
        """Let go of taken envelopes with a longer body, which the broker never takes, and return them."""
        too_large = [each for each in self._taken if not each.is_confirmed and each.body_bytes > max_body_bytes]
        with self._lock:
            for envelope in too_large:
                account = self._by_session[envelope.session]
                account.given_up += 1
                account.given_up_seqs.add(envelope.seq)
                account.published -= 1  # which `confirm` adds
        self.confirm(too_large)
        return too_large

    def give_back(self, envelopes: Iterable[Envelope]) -> None:
        """Make taken envelopes the next to be taken again, in their old order: the broker refused them."""
        refused = {id(envelope) for envelope in envelopes}
        with self._lock:
            again = [envelope for envelope in self._taken if id(envelope) in refused]
            self._taken = deque(envelope for envelope in self._taken if id(envelope) not in refused)
            self._in_flight -= len(again)
            self._again.extendleft(reversed(again))

    def rewind(self) -> None:
        """Make everything taken and unconfirmed the next to be taken again: the connection is lost."""
        with self._lock:
            old = [*self._again, *(envelope for envelope in self._taken if not envelope.is_confirmed)]
            self._again.clear()
            self._taken.clear()
            self._in_flight = self._num_spooling_taken = 0
            spooling = {id(envelope) for envelope in self._spooling}
            self._waiting.extendleft(each for each in reversed(old) if not each.row and id(each) not in spooling)
            on_disk = [each for each in old if each.row]
            for envelope in on_disk:
                self._release(envelope)
            # What was written while it was in flight may lie behind rows that were not sent yet.
            self._sent_row = min([self._sent_row, *(each.row - 1 for each in on_disk)])

    # The spooler's.

    def adopt(self, rows: Sequence[Rows], last_row: int) -> None:
        """Count what is in the spool from earlier processes, up to ``last_row``; it goes out before what waits."""
        with self._lock:
            self._accounts.adopt(rows)
            self._num_spooled += sum(each.count for each in rows)
            self._last_row = last_row
        self.bell.ring()

    def take_to_spool(self, limit_bytes: int) -> tuple[Envelope, ...]:
        """Return the oldest envelopes that are in memory alone, about ``limit_bytes`` of them, for writing to the disk.

        They count as in memory until :meth:`spooled`; :meth:`not_spooled` undoes this.
        """
        with self._lock:
            batch: list[Envelope] = []
            size = 0
            for envelope in (*self._again, *self._taken):
                if size >= limit_bytes:
                    break
                if not envelope.is_confirmed and not envelope.row:
                    batch.append(envelope)
                    size += envelope.size_bytes
            self._num_spooling_taken = len(batch)
            batch += _pop(self._waiting, len(self._waiting), limit_bytes - size)
            self._spooling = tuple(batch)
            return self._spooling

    def spooled(self, rows: Sequence[int]) -> None:
        """Let go of the envelopes of :meth:`take_to_spool`: they are on the disk, in these rows."""
        with self._lock:
            touched = set[str]()
            for index, (envelope, row) in enumerate(zip(self._spooling, rows, strict=True)):
                envelope.row = row
                touched.add(envelope.session)
                if envelope.is_confirmed:
                    self._settled[row] = envelope.size_bytes
                    continue
                self._by_session[envelope.session].enter_spool(envelope)
                self._num_spooled += 1
                if index >= self._num_spooling_taken:
                    self._release(envelope)
            self._last_row = rows[-1]
            self._end_spooling()
            self._accounts.advance(touched)
        self.bell.ring()

    def not_spooled(self) -> None:
        """Take the envelopes of :meth:`take_to_spool` back: the disk did not."""
        with self._lock:
            back = self._spooling[self._num_spooling_taken :]
            self._waiting.extendleft(each for each in reversed(back) if not each.is_confirmed)
            self._end_spooling()
        self.bell.ring()

    def settled(self) -> dict[int, int]:
        """Return the size of each row that the broker has confirmed and the spool still holds."""
        with self._lock:
            return dict(self._settled)

    def deleted(self, rows: Iterable[int]) -> None:
        """Forget rows of :meth:`settled`: the spool holds them no longer."""
        with self._lock:
            for row in rows:
                del self._settled[row]

    def spool_lost(self) -> list[Loss]:
        """Count what was on disk alone as lost, because its file is damaged, and return what that is."""
        with self._disk_lock, self._lock:
            for envelope in (*self._again, *self._taken):
                if envelope.row and not envelope.is_confirmed:
                    self._by_session[envelope.session].keep_in_memory(envelope)
            self._settled.clear()
            self._num_spooled = 0
            self._sent_row = self._last_row  # rows never go back: those in flight, confirmed or not, keep their numbers
            return self._accounts.lose_spool()

    # What they share.

    @property
    def _has_unsent_rows(self) -> bool:
        return self._last_row > self._sent_row

    def _take_rows(self, limit: int, limit_bytes: int) -> list[Envelope]:
        """Return the next envelopes from the disk; they are in memory, too, until they are confirmed."""
        assert self._spool is not None, "only a spool has rows"
        if self._in_flight and self.pending_bytes >= self.max_bytes:
            return []
        with self._disk_lock:
            with self._lock:
                last_row = self._last_row
                held = {each.row for each in (*self._again, *self._taken)} | self._settled.keys()
            try:
                found = self._spool.read(self._sent_row, limit, limit_bytes)
            except SpoolUnavailable as exc:
                self.read_error = exc
                return []
            self.reads += 1
            with self._lock:
                self._sent_row = min(found[-1].row, last_row) if found else last_row
                # Rows that the spooler has just written are taken when it has said so.
                batch = [each for each in found if each.row <= last_row and each.row not in held]
                for envelope in batch:
                    self._release(envelope, -1)
                self._taken.extend(batch)
                self._in_flight += len(batch)
                return batch

    def _release(self, envelope: Envelope, sign: int = 1) -> None:
        """Count an envelope out of the memory, or back into it."""
        size = sign * envelope.size_bytes
        self._by_session[envelope.session].released_bytes += size
        self._released_bytes += size

    def _end_spooling(self) -> None:
        self._spooling, self._num_spooling_taken = (), 0


def _pop(waiting: deque[Envelope], limit: int, limit_bytes: int) -> list[Envelope]:
    batch: list[Envelope] = []
    size = 0
    while waiting and len(batch) < limit and size < limit_bytes:
        envelope = waiting.popleft()
        size += len(envelope.raw)
        batch.append(envelope)
    return batch
