"""The outbox: everything received and not yet confirmed by the broker, in order, bounded in bytes."""

from typing import Final

from gateway_service.publisher.account import Counts
from gateway_service.publisher.backlog import Backlog
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.spool import Spool

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024


class Outbox(Backlog):
    """A FIFO between the thread that receives dispatches and the one that publishes them.

    Nothing is ever dropped: an envelope leaves only when the broker has confirmed it, or can never take it. The
    receiving side calls ``open_session``, ``put``, ``skip``, ``close_session`` and reads; the publisher calls
    ``take``, ``confirm``, ``give_up``, ``give_back`` and ``rewind``; the spooler the methods about the spool.
    ``deque.append`` and ``popleft`` are atomic, so :meth:`put` takes no lock.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES, spool: Spool | None = None) -> None:
        """Make an empty outbox that may have ``max_bytes`` in memory, and its oldest part in ``spool``."""
        super().__init__(max_bytes, spool)

    def open_session(self, session: str, seq: int) -> None:
        """Follow ``session``, of which everything up to ``seq`` is published already."""
        with self._lock:
            self._accounts.open(session, seq)

    def close_session(self, session: str) -> None:
        """Stop following ``session``; what it still has here is published nevertheless."""
        with self._lock:
            self._accounts.close(session)

    def put(self, envelope: Envelope) -> bool:
        """Take one dispatch; it is stored when this returns, whatever the answer.

        Returns:
            False when the outbox is full now: receive no more until :attr:`is_full` is false again.
        """
        account = self._by_session.get(envelope.session)
        if account is None or account.is_closed:
            with self._lock:
                account = self._accounts.open(envelope.session, None)
        size = envelope.size_bytes
        account.received += 1
        account.received_bytes += size
        self._received_bytes += size
        account.open.append(envelope)
        self._waiting.append(envelope)
        self.bell.ring()
        return self._received_bytes - self._released_bytes < self.max_bytes

    def skip(self, session: str, seq: int) -> None:
        """Account for a dispatch that is not to be published: the watermark may pass it."""
        with self._lock:
            account = self._accounts.open(session, None)
            account.received += 1
            account.filtered += 1
            account.open.append(seq)
            account.advance()

    def published_seq(self, session: str) -> int | None:
        """Return the ``seq`` up to which every dispatch of ``session`` is safe; never goes down."""
        account = self._by_session.get(session)
        return account.published_seq if account is not None else None

    def counts(self, session: str | None = None) -> Counts:
        """Return the numbers of one session, or of all that this outbox ever saw."""
        with self._lock:
            return self._accounts.counts(session)

    def safe_counts(self, session: str) -> tuple[int | None, Counts]:
        """Return the watermark of a session and the numbers of everything up to it."""
        with self._lock:
            account = self._by_session.get(session)
            return (None, Counts()) if account is None else (account.published_seq, account.safe_counts())

    def finished(self) -> list[tuple[str, Counts]]:
        """Return the sessions that are over since the last call, with their last numbers."""
        with self._lock:
            finished = list(self._accounts.finished)
            self._accounts.finished.clear()
            return finished

    @property
    def spool_file(self) -> str:
        """Name of the file that has the rows on disk; empty when there is none."""
        return "" if self._spool is None else self._spool.file_name

    @property
    def is_reading(self) -> bool:
        """True while the disk is read."""
        return self._disk_lock.locked()

    @property
    def is_full(self) -> bool:
        return self.pending_bytes >= self.max_bytes

    @property
    def has_settled(self) -> bool:
        """True when so much room is free that receiving again will not fill the outbox at once."""
        has_room = self.pending_bytes * 2 <= self.max_bytes
        return has_room and (self._spool is None or not self._spool.rows or self._spool.has_settled)
