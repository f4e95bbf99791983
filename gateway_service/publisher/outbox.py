"""The outbox: everything received and not yet confirmed by the broker, in order, bounded in bytes."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from gateway_service.publisher.bell import Bell
from gateway_service.publisher.envelope import Envelope

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many dispatches came in and what became of them; ``received`` is always the sum of the others."""

    received: int = 0
    published: int = 0
    skipped: int = 0
    pending: int = 0
    pending_bytes: int = 0


@dataclass(slots=True)
class _Track:
    """One session's accepted dispatches that the broker has not confirmed yet, oldest first."""

    published_seq: int | None
    open: deque[Envelope | int] = field(default_factory=deque)  # a number stands for a skipped dispatch
    is_closed: bool = False
    # Each number has one writer, so no lock is needed to add to it: these two the receiving side, ...
    received: int = 0
    received_bytes: int = 0
    # ... these whoever holds the outbox's lock.
    published: int = 0
    published_bytes: int = 0
    skipped: int = 0

    def advance(self) -> None:
        """Move ``published_seq`` over everything confirmed at the old end."""
        pending = self.open
        while pending:
            first = pending[0]
            if isinstance(first, int):
                seq = first
            elif first.is_confirmed:
                seq = first.seq
            else:
                return
            if self.published_seq is None or seq > self.published_seq:
                self.published_seq = seq
            pending.popleft()


class Outbox:
    """A FIFO between the thread that receives dispatches and the one that publishes them.

    Nothing is ever dropped: an envelope leaves only when the broker has confirmed it, or can never take it. The
    receiving side calls ``open_session``, ``put``, ``skip``, ``close_session`` and reads; the publisher calls
    ``take``, ``confirm``, ``give_up``, ``give_back`` and ``rewind``. ``deque.append`` and ``popleft`` are atomic, so
    :meth:`put` takes no lock.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.bell: Final = Bell()
        self._max_bytes = max_bytes
        self._tracks: dict[str, _Track] = {}
        self._past = Counts()  # of sessions that are over
        self._waiting: deque[Envelope] = deque()
        self._taken: deque[Envelope] = deque()  # may hold confirmed ones behind an unconfirmed one
        self._in_flight = 0
        self._received_bytes = 0
        self._published_bytes = 0
        self._lock = Lock()

    def open_session(self, session: str, seq: int) -> None:
        """Follow ``session``, of which everything up to ``seq`` is published already."""
        with self._lock:
            track = self._tracks.setdefault(session, _Track(seq))
            track.is_closed = False
            if track.published_seq is None:
                track.published_seq = seq

    def close_session(self, session: str) -> None:
        """Stop following ``session``; what it still has here is published nevertheless."""
        with self._lock:
            track = self._tracks.get(session)
            if track is not None:
                track.is_closed = True
                self._forget_if_over(session, track)

    def put(self, envelope: Envelope) -> bool:
        """Take one dispatch; it is stored when this returns, whatever the answer.

        Returns:
            False when the outbox is full now: receive no more until :attr:`is_full` is false again.
        """
        track = self._tracks.get(envelope.session)
        if track is None or track.is_closed:
            track = self._open(envelope.session)
        size = envelope.size_bytes
        track.received += 1
        track.received_bytes += size
        self._received_bytes += size
        track.open.append(envelope)
        self._waiting.append(envelope)
        self.bell.ring()
        return self._received_bytes - self._published_bytes < self._max_bytes

    def skip(self, session: str, seq: int) -> None:
        """Account for a dispatch that is not to be published: the watermark may pass it."""
        with self._lock:
            track = self._tracks.setdefault(session, _Track(None))
            track.received += 1
            track.skipped += 1
            track.open.append(seq)
            track.advance()

    def published_seq(self, session: str) -> int | None:
        """Return the ``seq`` up to which the broker has every dispatch of ``session``; never goes down."""
        track = self._tracks.get(session)
        return track.published_seq if track is not None else None

    def counts(self, session: str | None = None) -> Counts:
        """Return the numbers of one session, or of all that this outbox ever saw."""
        with self._lock:
            if session is not None:
                track = self._tracks.get(session)
                return _counts((), (track,) if track is not None else ())
            return _counts((self._past,), self._tracks.values())

    @property
    def is_full(self) -> bool:
        return self.pending_bytes >= self._max_bytes

    @property
    def has_settled(self) -> bool:
        """True when so much room is free that receiving again will not fill the outbox at once."""
        return self.pending_bytes * 2 <= self._max_bytes

    @property
    def is_empty(self) -> bool:
        """True when everything that came in is confirmed."""
        return self._received_bytes == self._published_bytes

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def pending_bytes(self) -> int:
        return self._received_bytes - self._published_bytes

    @property
    def in_flight(self) -> int:
        """How many are taken and not confirmed."""
        return self._in_flight

    def take(self, limit: int, limit_bytes: int) -> list[Envelope]:
        """Return the oldest waiting envelopes in order, for publishing.

        Args:
            limit: At most so many.
            limit_bytes: Stop after the one that reaches this size.
        """
        waiting, taken = self._waiting, self._taken
        batch: list[Envelope] = []
        size = 0
        while waiting and len(batch) < limit and size < limit_bytes:
            envelope = waiting.popleft()
            size += len(envelope.raw)
            batch.append(envelope)
        taken.extend(batch)
        self._in_flight += len(batch)
        return batch

    def confirm(self, envelopes: Sequence[Envelope]) -> None:
        """Let go of taken envelopes that the broker has, in whatever order it said so."""
        tracks, taken = self._tracks, self._taken
        touched: dict[str, _Track] = {}
        with self._lock:
            for envelope in envelopes:
                envelope.is_confirmed = True
                session = envelope.session
                track = touched.get(session)
                if track is None:
                    track = touched[session] = tracks[session]
                size = envelope.size_bytes
                track.published += 1
                track.published_bytes += size
                self._published_bytes += size
            self._in_flight -= len(envelopes)
            while taken and taken[0].is_confirmed:
                taken.popleft()
            for session, track in touched.items():
                track.advance()
                if track.is_closed:
                    self._forget_if_over(session, track)

    def give_up(self, max_body_bytes: int) -> list[Envelope]:
        """Let go of taken envelopes with a longer body, which the broker never takes, and return them."""
        too_large = [each for each in self._taken if not each.is_confirmed and each.body_bytes > max_body_bytes]
        with self._lock:
            for envelope in too_large:
                track = self._tracks[envelope.session]
                track.skipped += 1
                track.published -= 1  # which `confirm` adds
        self.confirm(too_large)
        return too_large

    def give_back(self, envelopes: Iterable[Envelope]) -> None:
        """Make taken envelopes the next to be taken again, in their old order: the broker refused them."""
        refused = {id(envelope) for envelope in envelopes}
        again = [envelope for envelope in self._taken if id(envelope) in refused]
        self._taken = deque(envelope for envelope in self._taken if id(envelope) not in refused)
        self._in_flight -= len(again)
        self._waiting.extendleft(reversed(again))

    def rewind(self) -> None:
        """Make everything taken and unconfirmed the next to be taken again: the connection is lost."""
        self.give_back([envelope for envelope in self._taken if not envelope.is_confirmed])
        self._taken.clear()

    def _open(self, session: str) -> _Track:
        with self._lock:
            track = self._tracks.setdefault(session, _Track(None))
            track.is_closed = False
            return track

    def _forget_if_over(self, session: str, track: _Track) -> None:
        if not track.open:
            self._past = _counts((self._past,), (track,))
            del self._tracks[session]


def _counts(past: Iterable[Counts], tracks: Iterable[_Track]) -> Counts:
    received = published = skipped = pending_bytes = 0
    for counts in past:
        received += counts.received
        published += counts.published
        skipped += counts.skipped
    for track in tracks:
        # Confirmed numbers first: the receiving side adds to its own meanwhile, and pending must not be negative.
        track_published, published_bytes = track.published, track.published_bytes
        published += track_published
        skipped += track.skipped
        pending_bytes += track.received_bytes - published_bytes
        received += track.received
    return Counts(
        received=received,
        published=published,
        skipped=skipped,
        pending=received - published - skipped,
        pending_bytes=pending_bytes,
    )
