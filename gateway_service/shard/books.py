"""The books of a shard process: the ledger of every session of which something is, or was, in its hands."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gateway_service.protocol.ledger import SessionLedger
from gateway_service.publisher import Adoption, Counts, Loss, Outbox
from gateway_service.shard.gap import Gap, envelope_of, gap_session, session_of
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)


class Book:
    """The ledger of one session: what earlier processes counted, and what this one adds."""

    def __init__(self, before: SessionLedger) -> None:
        self._before = before
        self.received_seq = before.seq
        """Of the last dispatch taken."""
        self.heard_at = before.heard_at
        self.replayed = 0
        self.duplicates = 0
        self.gaps = 0
        self.ended = before.ended
        self.found = 0
        """Dispatches that earlier processes left on disk, as far as they were taken over."""
        self.guild_ids: tuple[int, ...] = ()
        self.unsent = {payload["first_seq"]: payload for payload in before.unsent_gaps}
        self._holes: list[range] = []
        self._is_over = False
        spooled, first, last = before.spooled, before.spooled_from, before.spooled_to
        counts = Counts(
            adopted=spooled, spooled=spooled, spooled_from=first, spooled_to=last, oldest_at=before.oldest_at or None
        )
        self._safe: tuple[int, Counts] = before.seq, counts

    @property
    def before(self) -> SessionLedger:
        """As the store had it."""
        return self._before

    def correct(self, before: SessionLedger) -> None:
        """Take a better account of what earlier processes left."""
        self._before = before
        self.received_seq = max(self.received_seq, before.seq)

    def heard(self, received_seq: int, at: float) -> None:
        """Note the last dispatch taken; ``at`` is 0 when this process took none."""
        self.received_seq = received_seq
        self.heard_at = at or self.heard_at

    def skipped(self, numbers: range) -> None:
        """Note numbers of which no dispatch was taken."""
        self._holes.append(numbers)

    def mark(self, seq: int, counts: Counts) -> None:
        """Note the numbers of everything up to ``seq``, of which the same moment's session is stored."""
        self._safe = seq, counts

    def close(self, counts: Counts | None, present: Counts) -> None:
        """Note the numbers of a session that nobody resumes: what is in memory belongs to it, too.

        Args:
            counts: Its last ones, when nothing of it is left here.
            present: Those of now, when something is.
        """
        if not self._is_over:
            self._is_over = counts is not None
            self.mark(self.received_seq, counts or present)

    def stored(self, spool_file: str = "") -> SessionLedger:
        """Return what the store should have beside the session; ``spool_file`` has the rows of this process."""
        return self._ledger(*self._safe, spool_file)

    def now(self, counts: Counts) -> SessionLedger:
        """Return the ledger at this moment, what is in memory included."""
        return self._ledger(self.received_seq, counts)

    def _ledger(self, seq: int, counts: Counts, spool_file: str = "") -> SessionLedger:
        before = self._before
        # Rows that the store did not know of are counted when Discord sends the same dispatches once more.
        surplus = max(0, counts.adopted - before.spooled)
        unknown = min(counts.adopted_left, surplus)
        # Those that it knew of and nobody has found are where they were, until the files have been looked at.
        elsewhere = max(0, before.spooled - counts.adopted)
        here = counts.spooled - unknown
        oldest = [at for at in (before.oldest_at if elsewhere else 0.0, counts.oldest_at) if at]
        return replace(
            before,
            seq=seq,
            heard_at=self.heard_at,
            received=before.received + counts.received,
            published=before.published - surplus + counts.published + unknown,
            filtered=before.filtered + counts.filtered,
            given_up=before.given_up + counts.given_up,
            spooled=here + elsewhere,
            in_flight=before.in_flight + counts.pending,
            in_flight_from=before.in_flight_from if before.in_flight else counts.pending_from,
            lost=before.lost + counts.lost,
            missing=before.missing + sum(len(hole) for hole in self._holes if hole.start <= seq),
            replayed=before.replayed + self.replayed,
            duplicates=before.duplicates + self.duplicates,
            gaps=before.gaps + self.gaps,
            spooled_from=before.spooled_from if elsewhere else counts.spooled_from,
            spooled_to=max(before.spooled_to if elsewhere else 0, counts.spooled_to),
            spool_files=(*(before.spool_files if elsewhere else ()), *([spool_file] if here and spool_file else ())),
            ended=self.ended,
            oldest_at=min(oldest, default=0.0),
            unsent_gaps=tuple(self.unsent.values()),
        )


class Books:
    """All books of a process. For the event loop; what is stored is written by the session keeper."""

    def __init__(self, outbox: Outbox, stored: Iterable[SessionLedger]) -> None:
        """Open the books with what the store has of the shards of this process."""
        self._outbox = outbox
        self._books = {ledger.session: Book(ledger) for ledger in stored if not ledger.is_settled}
        self._files_seen: set[str] = set()
        self.is_balanced = True
        """As of the last :meth:`check`."""
        self.gaps = Counter[int]()
        """How many gaps each shard had in this process."""

    def begin(self, now: float) -> None:
        """Tell again of gaps that an earlier process could not tell, and of what it had in memory and took with it."""
        for book in self._books.values():
            for payload in book.unsent.values():
                self._outbox.put(envelope_of(payload, now))
            left = book.before.in_flight
            if left:
                first_seq, last_seq = book.before.in_flight_from, book.before.seq
                book.correct(book.before.lose_memory())
                reason = "the process died that had them in memory, and nobody can send them again"
                self.report(book, first_seq, last_seq, now, reason, oldest_at=book.before.oldest_at)

    def follow(self, session: str, shard_id: int, num_shards: int, seq: int, now: float) -> Book:
        """Return the book of the session that a shard has from now on; ``seq`` is its published sequence."""
        for other in self._books.values():
            same_shard = (other.before.shard_id, other.before.num_shards) == (shard_id, num_shards)
            if same_shard and other.before.session != session and other.ended is None:
                other.ended = "the shard has another session"
        book = self._books.get(session)
        if book is None:
            book = self._books[session] = Book(
                SessionLedger(
                    session=session,
                    shard_id=shard_id,
                    num_shards=num_shards,
                    opened_at=now,
                    first_seq=seq + 1,
                    seq=seq,
                    heard_at=now,
                )
            )
        return book

    def end(self, book: Book, last_seq: int, guild_ids: tuple[int, ...], now: float, reason: str) -> SessionLedger:
        """Note that a session is gone, tell what may be missing after ``last_seq``, and return what to store."""
        book.ended, book.guild_ids = reason, guild_ids
        book.received_seq = last_seq
        self.report(book, last_seq + 1, None, now, reason)
        book.close(None, self._outbox.counts(book.before.session))
        return book.stored(self._outbox.spool_file)

    def caught_up(self, session: str, seq: int, count: int) -> None:
        """Note that the last ``count`` dispatches up to ``seq`` are on disk, which the store did not know yet."""
        if (book := self._books.get(session)) is not None:
            before = book.before
            received, spooled = before.received + count, before.spooled + count
            book.correct(replace(before, seq=seq, received=received, spooled=spooled, spooled_to=seq))

    def adopted(self, adoption: Adoption, now: float) -> None:
        """Compare what was on disk with what is; what a damaged file had, or one that is not there, is a gap."""
        self._files_seen |= adoption.files
        for rows in adoption.rows:
            if (owner := self._books.get(rows.session)) is not None:
                owner.found += rows.count
        for book in self._books.values():
            before = book.before
            short = before.spooled - book.found
            if short <= 0 or not adoption.left.isdisjoint(before.spool_files):
                continue
            if self._files_seen.difference(adoption.damaged_files).issuperset(before.spool_files):
                book.correct(before.publish(short))  # and the store was not written again
            else:
                book.correct(before.lose(short))
                reason = "the spool of a past process is lost"
                self.report(book, before.spooled_from, before.spooled_to, now, reason, oldest_at=before.oldest_at)

    def skipped(self, book: Book, numbers: range, is_unreadable: bool, now: float) -> None:
        """Tell of numbers that Discord left out, or whose dispatches could not be read."""
        book.skipped(numbers)
        reason = "unreadable: Discord sent no JSON" if is_unreadable else "Discord skipped sequence numbers"
        self.report(book, numbers.start, numbers[-1], now, reason)

    def lost(self, loss: Loss, now: float) -> None:
        """Tell of what a disk lost while we ran; what it had told of a gap is told again."""
        if (told := self._books.get(session_of(loss.session) or "")) is not None:
            for payload in told.unsent.values():
                self._outbox.put(envelope_of(payload, now))
        elif (book := self._books.get(loss.session)) is not None:
            reason = "the spool file was damaged"
            self.report(book, loss.first_seq, loss.last_seq, now, reason, oldest_at=loss.oldest_at)

    def report(
        self, book: Book, first_seq: int, last_seq: int | None, now: float, reason: str, *, oldest_at: float = 0.0
    ) -> None:
        """Tell every group, the log and the ledger that dispatches may be missing.

        Args:
            book: Of which session.
            first_seq: The first number that may be missing.
            last_seq: The last one; None when only Discord knows.
            now: UNIX seconds.
            reason: Why, for people.
            oldest_at: When the first of them was received, which the session went on after; 0 when none of them was.
        """
        gap = Gap(
            shard_id=book.before.shard_id,
            num_shards=book.before.num_shards,
            session=book.before.session,
            first_seq=first_seq,
            last_seq=last_seq,
            from_at=oldest_at or book.heard_at,
            to_at=now,
            guild_ids=book.guild_ids,
            reason=reason,
        )
        book.gaps += 1
        self.gaps[gap.shard_id] += 1
        book.unsent[first_seq] = gap.payload()
        log_event(
            _log,
            logging.ERROR,
            LogEvent.GATEWAY_GAP,
            shard_id=gap.shard_id,
            session=gap.session,
            first_seq=first_seq,
            last_seq=last_seq,
            seconds=now - gap.from_at,
            guilds=len(gap.guild_ids),
            reason=reason,
        )
        self._outbox.put(envelope_of(gap.payload(), now))

    def entries(self) -> list[SessionLedger]:
        """Return what the store should have; a session of which nothing is left here comes for the last time."""
        last = dict(self._outbox.finished())
        entries = []
        for session, book in list(self._books.items()):
            if book.unsent and not self._outbox.counts(gap_session(session)).unpublished:
                book.unsent.clear()
            if book.ended is not None:
                book.close(last.get(session), self._outbox.counts(session))
            entries.append(book.stored(self._outbox.spool_file))
            if entries[-1].is_settled:
                del self._books[session]
        return entries

    def check(self) -> bool:
        """Tell whether everything balances now, and log once when it does not."""
        faults = [fault for book in self._books.values() for fault in self.faults_of(book)]
        if not self._outbox.is_consistent:
            faults.append("the memory holds another number of dispatches than the accounts say")
        if faults and self.is_balanced:
            log_event(_log, logging.ERROR, LogEvent.LEDGER_UNBALANCED, faults=faults[:10])
        self.is_balanced = not faults
        return self.is_balanced

    def faults_of(self, book: Book) -> tuple[str, ...]:
        """Return why the book of a session that goes on does not balance."""
        if book.ended is not None:
            return ()
        return tuple(
            f"session {book.before.session}: {fault}"
            for fault in book.now(self._outbox.counts(book.before.session)).faults()
        )
