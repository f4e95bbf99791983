"""The outbox under arbitrary happenings, with and without a spool."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway_service.publisher import Outbox
from gateway_service.publisher.envelope import Envelope
from tests.support.publishing import make_envelope
from tests.support.spools import MemorySpool
from tests.unit.publisher.test_outbox import ALL, filled

SIZE = make_envelope().size_bytes


@given(st.permutations(range(1, 9)))
def test_in_whatever_order_confirms_come_the_watermark_is_the_contiguous_part(order: list[int]) -> None:
    outbox = filled(*range(1, 9))
    envelopes = {envelope.seq: envelope for envelope in outbox.take(8, ALL)}
    confirmed = {0}

    for seq in order:
        outbox.confirm([envelopes[seq]])
        confirmed.add(seq)
        contiguous = next(number for number in range(9) if number + 1 not in confirmed)
        assert outbox.published_seq("a") == contiguous


class OutboxMachine(RuleBasedStateMachine):
    """A publisher and a receiver that do anything they may, in any order."""

    @initialize()
    def start(self) -> None:
        self.outbox = Outbox()
        self.next_seq = {"a": 1, "b": 1}
        self.skipped: set[tuple[str, int]] = set()
        self.confirmed: set[tuple[str, int]] = set()
        self.in_flight: list[Envelope] = []
        self.first_taken: dict[str, list[int]] = {"a": [], "b": []}
        for session in self.next_seq:
            self.outbox.open_session(session, 0)

    @rule(session=st.sampled_from("ab"))
    def put(self, session: str) -> None:
        self.outbox.put(make_envelope(self.next_seq[session], session=session))
        self.next_seq[session] += 1

    @rule(session=st.sampled_from("ab"))
    def skip(self, session: str) -> None:
        self.outbox.skip(session, self.next_seq[session])
        self.skipped.add((session, self.next_seq[session]))
        self.next_seq[session] += 1

    @rule(limit=st.integers(0, 4))
    def take(self, limit: int) -> None:
        batch = self.outbox.take(limit, ALL)
        self.in_flight += batch
        for envelope in batch:
            if envelope.seq not in self.first_taken[envelope.session]:
                self.first_taken[envelope.session].append(envelope.seq)

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sets(st.integers(0, max(0, len(self.in_flight) - 1))))
        envelopes = [self.in_flight[index] for index in chosen if index < len(self.in_flight)]
        self.outbox.confirm(envelopes)
        self.confirmed |= {(envelope.session, envelope.seq) for envelope in envelopes}
        self.in_flight = [each for each in self.in_flight if not each.is_confirmed]

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sets(st.integers(0, max(0, len(self.in_flight) - 1))))
        envelopes = [self.in_flight[index] for index in chosen if index < len(self.in_flight)]
        self.outbox.give_back(envelopes)
        refused = {id(envelope) for envelope in envelopes}
        self.in_flight = [each for each in self.in_flight if id(each) not in refused]

    @rule()
    def lose_the_connection(self) -> None:
        self.outbox.rewind()
        self.in_flight = []

    @invariant()
    def watermark_is_the_highest_contiguous_confirmed(self) -> None:
        for session, next_seq in self.next_seq.items():
            done = {seq for owner, seq in self.confirmed | self.skipped if owner == session}
            expected = next(seq for seq in range(next_seq) if seq + 1 not in done)
            assert self.outbox.published_seq(session) == expected

    @invariant()
    def nothing_is_lost(self) -> None:
        accepted = sum(self.next_seq.values()) - len(self.next_seq)
        pending = accepted - len(self.confirmed) - len(self.skipped)
        assert self.outbox.counts().pending == pending
        assert self.outbox.is_empty == (pending == 0)
        assert self.outbox.in_flight == len(self.in_flight)

    @invariant()
    def nothing_is_taken_for_the_first_time_before_an_older_one(self) -> None:
        for numbers in self.first_taken.values():
            assert numbers == sorted(numbers)


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=40, stateful_step_count=40)


class SpoolingMachine(OutboxMachine):
    """As without a spool, and a spooler that writes, fails and deletes at any moment between two steps of others."""

    @initialize()
    def start(self):
        super().start()
        self.spool = MemorySpool()
        self.outbox = Outbox(10**9, self.spool)
        self.on_disk = set()
        self.writing = None
        self.lost = set()
        self.passed = set()
        for session in self.next_seq:
            self.outbox.open_session(session, 0)

    @precondition(lambda self: self.writing is None)
    @rule(count=st.integers(1, 5))
    def begin_to_write(self, count):
        self.writing = self.outbox.take_to_spool(count * SIZE) or None
        if self.writing is None:
            self.outbox.not_spooled()

    @precondition(lambda self: self.writing is not None)
    @rule(works=st.booleans())
    def end_writing(self, works):
        if works:
            self.outbox.spooled(self.spool.append(self.writing))
            self.on_disk |= {(each.session, each.seq) for each in self.writing}
        else:
            self.outbox.not_spooled()
        self.writing = None

    @rule()
    def delete(self):
        sizes = self.outbox.settled()
        self.spool.delete(sizes)
        self.outbox.deleted(sizes)

    @precondition(lambda self: self.writing is None)
    @rule()
    def lose_the_file(self):
        with self.outbox._lock:
            in_memory = {(each.session, each.seq) for each in (*self.outbox._again, *self.outbox._taken)}
        self.spool.set_aside()
        self.outbox.spool_lost()
        self.lost |= self.on_disk - self.confirmed - in_memory
        self.on_disk.clear()
        self.passed |= {(each, seq) for each in "ab" for seq in range(1, self.outbox.published_seq(each) + 1)}

    @invariant()
    def what_is_stored_balances(self):
        for session in self.next_seq:
            seq, safe = self.outbox.safe_counts(session)
            parts = (safe.published, safe.filtered, safe.given_up, safe.spooled, safe.lost, safe.pending)
            assert sum(parts) == safe.received == seq
            assert min(parts) >= 0

    @invariant()
    def watermark_is_the_highest_contiguous_confirmed(self):
        for session, next_seq in self.next_seq.items():
            safe = self.confirmed | self.skipped | self.on_disk | self.lost | self.passed
            done = {seq for owner, seq in safe if owner == session}
            expected = next(seq for seq in range(next_seq) if seq + 1 not in done)
            assert self.outbox.published_seq(session) == expected

    @invariant()
    def nothing_is_lost(self):
        accepted = sum(self.next_seq.values()) - len(self.next_seq)
        counts = self.outbox.counts()
        assert counts.spooled == len(self.on_disk - self.confirmed)
        assert counts.pending + counts.spooled == accepted - len(self.confirmed) - len(self.skipped) - counts.lost
        assert counts.lost == len(self.lost)
        assert self.outbox.in_flight == len(self.in_flight)
        assert counts.pending_bytes == self.outbox.pending_bytes >= 0


TestSpoolingMachine = SpoolingMachine.TestCase
TestSpoolingMachine.settings = settings(max_examples=60, stateful_step_count=40)
