"""The spooler thread: moves the oldest part of the outbox to the disk while the broker does not take it."""

import logging
import time
from collections import deque
from threading import Event, Thread
from typing import Final

from gateway_service.errors import SpoolCorrupt, SpoolUnavailable
from gateway_service.publisher.loss import Loss
from gateway_service.publisher.outbox import Outbox
from gateway_service.publisher.rungs import should_spool
from gateway_service.publisher.spool import Adoption, Spool
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

TICK_S: Final = 0.25
BATCH_BYTES: Final = 4 * 1024 * 1024
# After the disk refused something; also how often to look for what processes that are gone have left.
RETRY_S: Final = 5.0
# A disk that cannot be read for so long has lost what is on it; waiting longer would hold up everything newer.
READ_PATIENCE_S: Final = 15.0
# One short trouble after the other does not make one file after the other.
TIDY_AFTER_S: Final = 5.0


class Spooler:
    """Writes, deletes and takes over what is on disk, in a thread of its own: the publisher may hang in a connect.

    What it found and what it lost wait in :attr:`adoptions` and :attr:`losses` for whoever keeps the books.
    """

    def __init__(self, spool: Spool, outbox: Outbox) -> None:
        self._spool = spool
        self._outbox = outbox
        self._thread = Thread(target=self._run, name="spooler", daemon=True)
        self._stopping = Event()
        self._confirms = 0
        self._progress_at = self._had_rows_at = time.monotonic()
        self._retry_at = self._adopt_at = float("-inf")
        self._reads = self._rounds_unread = 0
        self._unreadable_since: float | None = None
        self.adoptions: Final = deque[Adoption]()
        self.losses: Final = deque[Loss]()
        self._write_error: str | None = None
        self._adopt_error: str | None = None
        self.failure: BaseException | None = None
        """A fault of our own code in the thread; the process must end."""

    @property
    def error(self) -> str | None:
        """Why nothing can be written to the disk, or not all be read that is there; None while both can."""
        return self._write_error or self._adopt_error

    def open(self) -> None:
        """Take over what earlier processes left, before anything new comes. Blocks; never raises."""
        self._adopt(time.monotonic())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what the broker has not got and end the thread. Blocks."""
        self._stopping.set()
        self._thread.join()

    def close(self) -> None:
        """Let the next process have what is on disk; the store has to know by now how far that goes. Blocks."""
        try:
            self._spool.close()
        except SpoolUnavailable as exc:
            self._fail(str(exc), LogEvent.SPOOL_FAILED)

    def _run(self) -> None:
        try:
            while not self._stopping.wait(TICK_S):
                self.work(time.monotonic())
            self._delete()
            self._write(is_last=True)
        except Exception as exc:  # noqa: BLE001 - handed on, not swallowed
            self.failure = exc

    def work(self, now: float) -> None:
        """Do what is due at ``now`` (``time.monotonic()``): the thread calls this four times a second."""
        if self._outbox.confirms != self._confirms or not self._outbox.pending_bytes:
            self._confirms, self._progress_at = self._outbox.confirms, now
        self._heal_reading(now)
        self._delete()
        self._tidy(now)
        if now >= self._adopt_at:
            self._adopt(now)
        if now >= self._retry_at:
            self._write()

    def _write(self, *, is_last: bool = False) -> None:
        outbox, spool = self._outbox, self._spool
        while is_last or should_spool(
            pending_bytes=outbox.pending_bytes,
            max_bytes=outbox.max_bytes,
            stalled_s=time.monotonic() - self._progress_at,
        ):
            if (why_full := spool.why_full()) is not None:
                self._fail(why_full if spool.max_bytes else None, LogEvent.SPOOL_FULL)
                return
            batch = outbox.take_to_spool(BATCH_BYTES)
            if not batch:
                outbox.not_spooled()
                return
            try:
                rows = spool.append(batch)
            except SpoolUnavailable as exc:
                outbox.not_spooled()
                if isinstance(exc, SpoolCorrupt):
                    self._lose(exc)
                self._fail(str(exc), LogEvent.SPOOL_FAILED)
                return
            outbox.spooled(rows)
            self._write_error = None

    def _delete(self) -> None:
        if sizes := self._outbox.settled():
            try:
                self._spool.delete(sizes)
            except SpoolCorrupt as exc:
                self._lose(exc)
            except SpoolUnavailable as exc:  # they stay, and would be published again after a crash
                self._fail(str(exc), LogEvent.SPOOL_FAILED)
            else:
                self._outbox.deleted(sizes)

    def _tidy(self, now: float) -> None:
        if self._spool.rows:
            self._had_rows_at = now
        elif now - self._had_rows_at >= TIDY_AFTER_S:
            self._had_rows_at = now
            try:
                self._spool.tidy()
            except SpoolUnavailable as exc:
                self._fail(str(exc), LogEvent.SPOOL_FAILED)

    def _adopt(self, now: float) -> None:
        self._adopt_at = now + RETRY_S
        try:
            adoption = self._spool.adopt()
        except SpoolUnavailable as exc:
            self._fail_adopting(str(exc))
            return
        self._fail_adopting(adoption.failure)
        for path in adoption.damaged:
            log_event(_log, logging.ERROR, LogEvent.SPOOL_DAMAGED, moved_to=str(path))
        if adoption.rows:
            self._outbox.adopt(adoption.rows, self._spool.last_row)
            dispatches = sum(rows.count for rows in adoption.rows)
            log_event(_log, logging.INFO, LogEvent.SPOOL_ADOPTED, dispatches=dispatches, sessions=len(adoption.rows))
        self.adoptions.append(adoption)

    def _fail_adopting(self, failure: str | None) -> None:
        if failure is not None and self._adopt_error is None:
            log_event(_log, logging.ERROR, LogEvent.SPOOL_FAILED, reason=failure)
        self._adopt_error = failure

    def _heal_reading(self, now: float) -> None:
        """Let the publisher read again, or give up a file that cannot be read."""
        outbox, error = self._outbox, self._outbox.read_error
        # A round without an error says nothing: a disk may take longer than that to fail. Only a read that succeeded
        # does, or that none was tried for long, as while the broker is away.
        self._rounds_unread = 0 if error is not None or outbox.is_reading else self._rounds_unread + 1
        if outbox.reads != self._reads or self._rounds_unread * TICK_S >= READ_PATIENCE_S:
            self._reads, self._unreadable_since = outbox.reads, None
        if error is None:
            return
        if self._unreadable_since is None:
            self._unreadable_since = now
        if isinstance(error, SpoolCorrupt) or now - self._unreadable_since >= READ_PATIENCE_S:
            self._lose(error)
        outbox.read_error = None
        outbox.bell.ring()

    def _lose(self, error: SpoolUnavailable) -> None:
        """Go on without the present file; what was in it is lost and told."""
        self._unreadable_since = None
        path = self._spool.set_aside()
        losses = self._outbox.spool_lost()
        self.losses.extend(losses)
        log_event(
            _log,
            logging.ERROR,
            LogEvent.SPOOL_DAMAGED,
            reason=str(error),
            moved_to=None if path is None else str(path),
            lost=sum(loss.count for loss in losses),
        )

    def _fail(self, reason: str | None, event: LogEvent) -> None:
        """Do without the disk for a while; the memory, and after it Discord, keeps what comes."""
        self._retry_at = time.monotonic() + RETRY_S
        if reason is not None and self._write_error is None:
            log_event(_log, logging.ERROR, event, reason=reason)
        self._write_error = reason
