"""The books of one session over any number of processes, each killed at any moment: they always balance."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway_service.protocol.ledger import SessionLedger
from gateway_service.publisher import Adoption, Outbox
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.spool_file import Rows
from gateway_service.shard.books import Books
from tests.support.publishing import make_envelope
from tests.support.spools import MemorySpool

NOW = 1000.0
ALL = 10**9


class BooksMachine(RuleBasedStateMachine):
    """One process after the other; what each of them leaves is its spool and the last ledger that it saved."""

    @initialize()
    def start(self) -> None:
        self.stored: SessionLedger | None = None
        self.left_behind: list[MemorySpool] = []
        self.emptied: set[str] = set()
        self.num_processes = 0
        self.sent = 0
        self._start_process(is_busy=False)

    @rule(count=st.integers(1, 4))
    def receive(self, count: int) -> None:
        """Discord replays what the process does not have, then goes on."""
        for _ in range(count):
            self.seq += 1
            self.outbox.put(make_envelope(self.seq, session="a"))
        self.sent = max(self.sent, self.seq)
        self.book.received_seq = self.seq

    @rule(limit=st.integers(1, 5))
    def take(self, limit: int) -> None:
        self.in_flight += self.outbox.take(limit, ALL)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.in_flight) - 1))
        self.outbox.confirm([self.in_flight.pop(index)])

    @rule()
    def lose_connection(self) -> None:
        self.outbox.rewind()
        self.in_flight = []

    @rule(limit=st.integers(1, 4))
    def write_to_disk(self, limit: int) -> None:
        batch = self.outbox.take_to_spool(limit * make_envelope().size_bytes)
        if batch:
            self.outbox.spooled(self.spool.append(batch))
        else:
            self.outbox.not_spooled()

    @rule()
    def delete_from_disk(self) -> None:
        sizes = self.outbox.settled()
        self.spool.delete(sizes)
        self.outbox.deleted(sizes)

    @rule()
    def save(self) -> None:
        self.book.mark(*self.outbox.safe_counts("a"))
        self.stored = next(entry for entry in self.books.entries() if entry.session == "a")
        self.emptied.clear()  # which takes longer than the next saving

    @precondition(lambda self: self.stored)
    @rule(is_busy=st.booleans())
    def kill(self, is_busy: bool) -> None:
        self.left_behind.append(self.spool)
        self._start_process(is_busy=is_busy)

    @rule()
    def look_at_disk(self) -> None:
        """Take over what processes left that were still draining before."""
        self._adopt()

    @precondition(lambda self: self.left_behind)
    @rule(count=st.integers(1, 4))
    def lose_connection_after_a_late_takeover(self, count: int) -> None:
        """Write what is in flight behind what is taken over, and get it back: chance rarely has it in this order."""
        self.receive(count)
        self.take(count)
        self._adopt()
        self.write_to_disk(count)
        self.lose_connection()

    @invariant()
    def everything_balances(self) -> None:
        assert self.book.now(self.outbox.counts("a")).faults() == ()
        assert self.stored is None or self.stored.faults() == ()
        assert self.outbox.is_consistent

    def teardown(self) -> None:
        self._adopt()
        while self.in_flight or self.outbox.has_waiting:
            self.outbox.confirm(self.in_flight)
            self.in_flight = self.outbox.take(ALL, ALL)
        self.save()
        assert self.stored is not None
        assert self.stored.published == self.stored.received == self.stored.seq == self.seq
        assert (self.stored.spooled, self.stored.lost, self.stored.gaps) == (0, 0, 0)

    def _start_process(self, *, is_busy: bool) -> None:
        self.num_processes += 1
        self.spool = MemorySpool(file_name=f"{self.num_processes}.db")
        self.outbox = Outbox(ALL, self.spool)
        self.in_flight: list[Envelope] = []
        there = frozenset(spool.file_name for spool in self.left_behind)
        self.found = Adoption(files=there | self.emptied, left=there)
        if not is_busy:
            self._take_over()
        self.books = Books(self.outbox, [self.stored] if self.stored else [])
        self.seq = self.stored.seq if self.stored else 0
        if on_disk := self._following(self.seq):
            self.seq += on_disk
            self.books.caught_up("a", self.seq, on_disk)
        self.outbox.open_session("a", self.seq)
        self.book = self.books.follow("a", 0, 1, self.seq, NOW)
        self.books.begin(NOW)
        self.books.adopted(self.found, NOW)

    def _adopt(self) -> None:
        if self.left_behind:
            self._take_over()
            self.books.adopted(self.found, NOW)

    def _take_over(self) -> None:
        """Copy what is in the spools of processes that are gone, as :class:`Spool` does."""
        rows = []
        for spool in self.left_behind:
            if found := spool.read(0, ALL, ALL):
                self.spool.append(found)
                rows.append(_rows_of(found))
        self.emptied |= {spool.file_name for spool in self.left_behind}
        self.found = Adoption(rows=tuple(rows), files=frozenset(self.emptied))
        self.left_behind = []
        if rows:
            self.outbox.adopt(rows, self.spool.last_row)

    def _following(self, seq: int) -> int:
        there = {each.seq for each in self.spool.read(0, ALL, ALL)}
        return next(count for count in range(ALL) if seq + count + 1 not in there)


def _rows_of(envelopes: list[Envelope]) -> Rows:
    return Rows(
        session="a",
        shard_id=0,
        num_shards=1,
        count=len(envelopes),
        size_bytes=sum(each.size_bytes for each in envelopes),
        first_seq=min(each.seq for each in envelopes),
        last_seq=max(each.seq for each in envelopes),
        oldest_at=NOW,
    )


BooksMachine.TestCase.settings = settings(stateful_step_count=40)
TestBooks = BooksMachine.TestCase
