"""The account of one session in one process: what came in, and what became of each dispatch."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.loss import Loss
from gateway_service.publisher.spool_file import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many dispatches came in and what became of them; each is in exactly one of the numbers after ``adopted``."""

    received: int = 0
    adopted: int = 0
    """Taken over from the spool of a process that is gone, which received them."""
    adopted_left: int = 0
    """Of those: still on disk."""
    published: int = 0
    filtered: int = 0
    """Not to be published."""
    given_up: int = 0
    """Larger than the broker ever takes."""
    spooled: int = 0
    """On disk."""
    lost: int = 0
    """Were on a disk that lost them."""
    pending: int = 0
    """In memory."""
    pending_from: int = 0
    """The first sequence of one session in memory; 0 when none is."""
    pending_bytes: int = 0
    spooled_bytes: int = 0
    spooled_from: int = 0
    spooled_to: int = 0
    """The first and the last sequence on disk, of one session."""
    oldest_at: float | None = None
    """UNIX seconds at which the oldest of those pending and spooled was received."""

    @property
    def unpublished(self) -> int:
        """How many are in memory or on disk."""
        return self.pending + self.spooled

    def lag_s(self, now: float) -> float:
        """Return the age of the oldest dispatch that the broker has not confirmed; 0 when it has all."""
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


@dataclass(slots=True)
class Account:
    """One session's dispatches that are not safe yet, oldest first, and the count of all the others."""

    published_seq: int | None
    open: deque[Envelope | int] = field(default_factory=deque)  # a number stands for a filtered dispatch
    is_closed: bool = False
    # Each number has one writer, so no lock is needed to add to it: these two the receiving side, ...
    received: int = 0
    received_bytes: int = 0
    # ... these whoever holds the outbox's lock.
    adopted: int = 0
    left_spool: int = 0
    """Rows that the broker confirmed, which those taken over are the first of."""
    published: int = 0
    filtered: int = 0
    given_up: int = 0
    given_up_seqs: set[int] = field(default_factory=set)
    lost: int = 0
    released_bytes: int = 0
    """Of envelopes that left the memory: confirmed, or on disk alone."""
    spooled: int = 0
    spooled_bytes: int = 0
    spooled_at: float = 0.0
    """When the oldest dispatch on disk was received, as near as the order of confirming tells."""
    spooled_from: int = 0
    spooled_to: int = 0
    """The first and the last sequence on disk."""
    kept: list[Envelope] = field(default_factory=list)
    """In flight and in memory alone, though ``published_seq`` has passed them: the disk lost them after that."""

    def advance(self) -> None:
        """Move ``published_seq`` over everything that is safe at the old end: confirmed, or fsynced on disk."""
        if self.kept:
            self.kept = [each for each in self.kept if not each.is_confirmed and not each.row]
        pending = self.open
        while pending:
            first = pending[0]
            if isinstance(first, int):
                seq = first
            elif first.is_confirmed or first.row:
                seq = first.seq
            else:
                return
            if self.published_seq is None or seq > self.published_seq:
                self.published_seq = seq
            pending.popleft()

    def enter_spool(self, envelope: Envelope) -> None:
        """Count an envelope that is on disk now."""
        self._begin_spool_at(envelope.seq, envelope.received_at)
        self.spooled += 1
        self.spooled_bytes += envelope.size_bytes
        self.spooled_to = max(self.spooled_to, envelope.seq)

    def leave_spool(self, envelope: Envelope) -> None:
        """Count an envelope out of the disk: the broker has it."""
        self.left_spool += 1
        self.spooled -= 1
        self.spooled_bytes -= envelope.size_bytes

    def pass_in_spool(self, envelope: Envelope) -> None:
        """Note that no row of the disk is left up to this one."""
        self.spooled_at, self.spooled_from = envelope.received_at, max(self.spooled_from, envelope.seq + 1)

    def adopt(self, rows: Rows) -> None:
        """Count what an earlier process left on disk."""
        self._begin_spool_at(rows.first_seq, rows.oldest_at)
        self.adopted += rows.count
        self.spooled += rows.count
        self.spooled_bytes += rows.size_bytes
        self.spooled_to = max(self.spooled_to, rows.last_seq)

    def _begin_spool_at(self, seq: int, received_at: float) -> None:
        if not self.spooled or seq < self.spooled_from:
            self.spooled_at, self.spooled_from = received_at, seq

    def lose_spool(self) -> None:
        """Count what was on disk, and on no other place, as lost."""
        in_order = set(map(id, self.open.copy()))  # which the receiving side adds to; these hold the watermark back
        self.kept = [each for each in self.kept if id(each) not in in_order]
        self.lost += self.spooled
        self.spooled = self.spooled_bytes = 0

    def keep_in_memory(self, envelope: Envelope) -> None:
        """Count an envelope that is on disk and in flight as in flight: its disk is lost, see :meth:`lose_spool`."""
        self.spooled -= 1
        self.spooled_bytes -= envelope.size_bytes
        envelope.row = 0
        self.kept.append(envelope)

    @property
    def is_over(self) -> bool:
        return self.is_closed and not (self.open or self.spooled or self.kept)

    @property
    def pending(self) -> int:
        """How many are in memory alone; the difference of all numbers, so that it is right while they change."""
        done = self.published + self.filtered + self.given_up + self.spooled + self.lost
        return self.received + self.adopted - done

    def counts(self) -> Counts:
        # Confirmed numbers first: the receiving side adds to its own meanwhile, and pending must not be negative.
        released_bytes, pending, first = self.released_bytes, self.pending, self._first_in_memory()
        since = [self.spooled_at] * bool(self.spooled) + ([first.received_at] if first is not None else [])
        return Counts(
            received=self.received,
            adopted=self.adopted,
            adopted_left=min(max(0, self.adopted - self.left_spool), self.spooled),
            published=self.published,
            filtered=self.filtered,
            given_up=self.given_up,
            spooled=self.spooled,
            lost=self.lost,
            pending=pending,
            pending_from=0 if first is None else first.seq,
            pending_bytes=self.received_bytes - released_bytes,
            spooled_bytes=self.spooled_bytes,
            spooled_from=self.spooled_from,
            spooled_to=self.spooled_to,
            oldest_at=min(since, default=None),
        )

    def safe_counts(self) -> Counts:
        """Return the numbers of everything up to ``published_seq``: of it only ``kept`` is in memory alone."""
        counts = self.counts()
        if not self.open:
            return counts
        # One pass, because all that an outage piled up may be in it; next to nothing of that is done.
        done = [each for each in self.open if isinstance(each, int) or each.is_confirmed or each.row]
        envelopes = [each for each in done if isinstance(each, Envelope)]
        filtered = len(done) - len(envelopes)
        confirmed = [each for each in envelopes if each.is_confirmed]
        given_up = sum(1 for each in confirmed if each.seq in self.given_up_seqs)
        on_disk = len(envelopes) - len(confirmed)
        return replace(
            counts,
            received=counts.received - len(self.open),
            published=counts.published - len(confirmed) + given_up,
            filtered=counts.filtered - filtered,
            given_up=counts.given_up - given_up,
            spooled=counts.spooled - on_disk,
            pending=len(self.kept),
            pending_from=counts.pending_from if self.kept else 0,
        )

    def _first_in_memory(self) -> Envelope | None:
        if self.kept:
            return min(self.kept, key=lambda each: each.seq)
        first = self.open[0] if self.open else None  # `advance` leaves one there that is not safe
        return first if isinstance(first, Envelope) else None


# Somebody takes them every second.
_MAX_FINISHED = 10_000


class Accounts:
    """The accounts of all sessions of one outbox; whoever changes them holds its lock."""

    def __init__(self) -> None:
        self.by_session: dict[str, Account] = {}
        self.finished: deque[tuple[str, Counts]] = deque(maxlen=_MAX_FINISHED)
        """Sessions that are over with their last numbers, for whoever keeps the books."""
        self._past = Counts()  # of sessions that are over

    def open(self, session: str, seq: int | None) -> Account:
        """Follow a session, of which everything up to ``seq`` is safe; None says that nobody knows."""
        account = self.by_session.setdefault(session, Account(seq))
        account.is_closed = False
        if account.published_seq is None:
            account.published_seq = seq
        return account

    def close(self, session: str) -> None:
        """Follow a session only until nothing of it is left here."""
        account = self.by_session.get(session)
        if account is not None:
            account.is_closed = True
            self._forget_if_over(session, account)

    def counts(self, session: str | None) -> Counts:
        """Return the numbers of one session, or of all there ever were."""
        if session is None:
            return total_of((self._past, *(account.counts() for account in self.by_session.values())))
        account = self.by_session.get(session)
        return account.counts() if account is not None else Counts()

    @property
    def pending(self) -> int:
        """How many envelopes are in memory alone."""
        return sum(account.pending for account in self.by_session.values())

    def advance(self, sessions: Iterable[str]) -> None:
        """Move the watermarks of these sessions."""
        for session in sessions:
            account = self.by_session[session]
            account.advance()
            self._forget_if_over(session, account)

    def adopt(self, rows: Iterable[Rows]) -> None:
        """Count what earlier processes left on disk."""
        for each in rows:
            account = self.by_session.get(each.session)
            if account is None:
                account = self.by_session[each.session] = Account(None, is_closed=True)
            account.adopt(each)

    def lose_spool(self) -> list[Loss]:
        """Count everything that is on disk alone as lost."""
        losses = []
        for session, account in list(self.by_session.items()):
            if account.spooled:
                losses.append(
                    Loss(
                        session=session,
                        count=account.spooled,
                        first_seq=account.spooled_from,
                        last_seq=account.spooled_to,
                        oldest_at=account.spooled_at,
                    )
                )
            account.lose_spool()
            self._forget_if_over(session, account)
        return losses

    def _forget_if_over(self, session: str, account: Account) -> None:
        if account.is_over:
            counts = account.counts()
            self.finished.append((session, counts))
            self._past = total_of((self._past, counts))
            del self.by_session[session]


def total_of(counts: Iterable[Counts]) -> Counts:
    """Add accounts up."""
    every = tuple(counts)
    oldest = [each.oldest_at for each in every if each.oldest_at is not None]
    sums = {name: sum(getattr(each, name) for each in every) for name in _SUMMED}
    return Counts(**sums, oldest_at=min(oldest, default=None))


_OF_ONE = {"oldest_at", "pending_from", "spooled_from", "spooled_to"}
_SUMMED = tuple(name for name in Counts.__slots__ if name not in _OF_ONE)
