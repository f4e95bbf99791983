"""The books: what is counted now, what is stored, what is told as a gap, and all of it over a restart."""

import json

import pytest

from gateway_service.contract import GAP_EVENT
from gateway_service.publisher import Adoption, Loss, Outbox
from gateway_service.publisher.spool_file import Rows
from gateway_service.shard.books import Books
from tests.support.publishing import make_envelope
from tests.support.spools import MemorySpool

NOW = 1000.0
ALL = 10**9
FILE = frozenset({"memory.db"})


class Process:
    """One shard process's books and outbox, with a single session."""

    def __init__(self, stored=(), spool=None, seq=0):
        self.spool = spool or MemorySpool()
        self.outbox = Outbox(ALL, self.spool)
        self.books = Books(self.outbox, stored)
        self.outbox.open_session("a", seq)
        self.book = self.books.follow("a", 0, 1, seq, NOW)
        self.books.begin(NOW)
        self.seq = seq

    def receive(self, count, at=NOW):
        for _ in range(count):
            self.seq += 1
            self.outbox.put(make_envelope(self.seq, session="a", received_at=at))
        self.book.heard(self.seq, at)

    def publish(self, count):
        self.outbox.confirm(self.outbox.take(count, ALL))

    def to_disk(self):
        self.outbox.spooled(self.spool.append(self.outbox.take_to_spool(ALL)))

    def now(self):
        return self.book.now(self.outbox.counts("a"))

    def saved(self):
        """Return the ledger as the store has it when the process is killed now."""
        self.book.mark(*self.outbox.safe_counts("a"))
        (entry,) = [entry for entry in self.books.entries() if entry.session == "a"]
        return entry

    def gaps(self):
        """Take everything that waits; return what it tells of gaps."""
        taken = self.outbox.take(1000, ALL)
        return [json.loads(each.raw) for each in taken if each.event == GAP_EVENT]


def rows(count, first, last, session="a"):
    return Rows(
        session=session,
        shard_id=0,
        num_shards=1,
        count=count,
        size_bytes=count * make_envelope().size_bytes,
        first_seq=first,
        last_seq=last,
        oldest_at=NOW,
    )


def test_everything_received_is_somewhere():
    process = Process()
    process.receive(5)
    process.to_disk()
    process.receive(3)
    process.publish(2)
    ledger = process.now()

    assert (ledger.received, ledger.published, ledger.spooled, ledger.in_flight) == (8, 2, 3, 3)
    assert ledger.faults() == ()
    assert process.books.check()


def test_what_is_stored_ends_with_what_is_safe():
    process = Process()
    process.receive(6)
    process.publish(4)
    stored = process.saved()

    assert (stored.seq, stored.received, stored.published, stored.in_flight) == (4, 4, 4, 0)
    assert stored.faults() == ()


def test_confirms_out_of_order_are_not_stored_before_the_oldest():
    process = Process()
    process.receive(3)
    _, second, _ = process.outbox.take(3, ALL)
    process.outbox.confirm([second])
    stored = process.saved()

    assert (stored.seq, stored.received, stored.published) == (0, 0, 0)
    assert process.now().published == 1


def test_after_a_crash_the_counting_goes_on_where_the_session_is_resumed():
    killed = Process()
    killed.receive(6)
    killed.publish(4)
    process = Process([killed.saved()], seq=4)
    process.receive(10)
    process.publish(10)

    ledger = process.now()
    assert (ledger.first_seq, ledger.seq, ledger.received, ledger.published) == (1, 14, 14, 14)
    assert ledger.faults() == ()


def test_what_was_left_on_disk_is_published_by_the_next_process_and_counted_once():
    killed = Process()
    killed.receive(6)
    killed.to_disk()
    stored = killed.saved()
    process = Process([stored], killed.spool, seq=6)
    adoption = Adoption(rows=(rows(6, 1, 6),), files=FILE)
    process.outbox.adopt(adoption.rows, killed.spool.last_row)
    process.books.adopted(adoption, NOW)
    process.receive(2)
    before = process.now()
    process.publish(6)
    process.publish(2)
    after = process.now()

    assert (before.spooled, before.published, before.faults()) == (6, 0, ())
    assert (after.spooled, after.published, after.faults()) == (0, 8, ())
    assert process.saved().faults() == ()


def test_rows_that_the_store_does_not_know_of_are_counted_when_discord_sends_them_again():
    killed = Process()
    killed.receive(2)
    killed.publish(2)
    stored = killed.saved()
    killed.receive(4)
    killed.to_disk()
    process = Process([stored], killed.spool, seq=2)
    adoption = Adoption(rows=(rows(4, 3, 6),), files=FILE)
    process.outbox.adopt(adoption.rows, killed.spool.last_row)
    process.books.adopted(adoption, NOW)
    found = process.now()
    process.receive(4)
    process.publish(2)
    half = process.now()
    process.publish(2)
    process.publish(4)
    after = process.now()

    assert (found.published, found.spooled, found.faults()) == (2, 0, ())
    assert (half.published, half.spooled, half.in_flight, half.faults()) == (2, 0, 4, ())
    assert (after.published, after.spooled, after.received, after.faults()) == (6, 0, 6, ())


def test_what_was_published_after_the_last_saving_is_not_taken_for_lost():
    killed = Process()
    killed.receive(6)
    killed.to_disk()
    process = Process([killed.saved()], seq=6)
    process.books.adopted(Adoption(files=FILE), NOW)

    assert (process.now().published, process.now().lost, process.gaps()) == (6, 0, [])


def test_looking_again_after_all_is_published_finds_nothing_lost():
    killed = Process()
    killed.receive(3)
    killed.to_disk()
    process = Process([killed.saved()], killed.spool, seq=3)
    adoption = Adoption(rows=(rows(3, 1, 3),), files=FILE)
    process.outbox.adopt(adoption.rows, killed.spool.last_row)
    process.books.adopted(adoption, NOW)
    process.publish(3)
    for _ in range(2):
        process.books.adopted(Adoption(), NOW)

    assert (process.gaps(), process.now().published, process.now().faults()) == ([], 3, ())


@pytest.mark.parametrize(
    "found",
    [Adoption(files=FILE, damaged_files=FILE), Adoption(files=frozenset({"another.db"}))],
    ids=["damaged", "missing"],
)
def test_a_spool_that_is_gone_is_a_gap_of_exactly_what_was_in_it(found):
    killed = Process()
    killed.receive(2)
    killed.publish(2)
    killed.receive(1, at=NOW + 10)
    killed.receive(3, at=NOW + 20)
    killed.to_disk()
    process = Process([killed.saved()], seq=6)
    process.books.adopted(found, NOW + 30)

    (gap,) = process.gaps()
    assert (gap["first_seq"], gap["last_seq"], gap["session"]) == (3, 6, "a")
    assert (gap["from"], gap["to"]) == (NOW + 10, NOW + 30)
    assert (process.now().lost, process.now().gaps, process.now().faults()) == (4, 1, ())


def test_a_file_that_a_living_process_has_is_not_missing():
    killed = Process()
    killed.receive(4)
    killed.to_disk()
    process = Process([killed.saved()], seq=4)
    process.books.adopted(Adoption(files=FILE, left=FILE), NOW)

    assert process.gaps() == []


def test_a_file_damaged_in_use_is_a_gap():
    process = Process()
    process.receive(1, at=NOW + 10)
    process.receive(3, at=NOW + 20)
    process.to_disk()
    for loss in process.outbox.spool_lost():
        process.books.lost(loss, NOW + 30)

    (gap,) = process.gaps()
    assert (gap["first_seq"], gap["last_seq"], gap["from"], gap["to"]) == (1, 4, NOW + 10, NOW + 30)
    assert (process.now().lost, process.now().faults()) == (4, ())


def test_what_a_lost_file_left_in_memory_is_a_gap_when_the_process_dies():
    killed = Process()
    killed.receive(3)
    killed.outbox.take(2, ALL)
    killed.to_disk()
    for loss in killed.outbox.spool_lost():
        killed.books.lost(loss, NOW)
    killed.receive(1)
    stored = killed.saved()

    process = Process([stored], seq=stored.seq)

    assert (stored.seq, stored.in_flight, stored.lost, stored.faults()) == (3, 2, 1, ())
    assert 1 in [gap["first_seq"] for gap in process.gaps()]
    assert (process.now().lost, process.now().faults()) == (3, ())


def test_a_loss_of_a_session_without_a_book_is_passed_over():
    Process().books.lost(Loss(session="unknown", count=1, first_seq=1, last_seq=1, oldest_at=NOW), NOW)


def test_numbers_that_discord_skips_are_missing_and_the_account_balances():
    process = Process()
    process.receive(2)
    process.book.skipped(range(3, 6))
    process.seq = 5
    process.receive(1)
    process.publish(3)

    assert (process.now().missing, process.now().faults()) == (3, ())
    assert process.saved().faults() == ()


def test_an_ended_session_is_told_once_and_stored_with_what_it_has_in_memory():
    process = Process()
    process.receive(3)
    process.publish(1)
    stored = process.books.end(process.book, 3, (11, 12), NOW, "Discord invalidated it (op 9)")
    (gap,) = process.gaps()

    assert (stored.ended, stored.in_flight, stored.gaps, stored.faults()) == ("Discord invalidated it (op 9)", 2, 1, ())
    assert (gap["first_seq"], gap["last_seq"], gap["guild_ids"], gap["to"]) == (4, None, ["11", "12"], NOW)
    assert gap["reason"] == "Discord invalidated it (op 9)"


def test_a_gap_that_was_in_memory_only_is_told_again_with_the_same_id():
    killed = Process()
    stored = killed.books.end(killed.book, 0, (), NOW, "op 9")
    first = killed.outbox.take(10, ALL)
    process = Process([stored])
    again = process.outbox.take(10, ALL)

    assert [each.task_id for each in again] == [each.task_id for each in first] == ["a-gap-1"]
    assert process.books.gaps[0] == 0


def test_the_memory_that_died_with_its_process_is_a_gap_when_nobody_can_replay_it():
    killed = Process()
    killed.receive(1)
    killed.receive(1, at=NOW + 10)
    killed.receive(1, at=NOW + 20)
    killed.publish(1)
    stored = killed.books.end(killed.book, 3, (), NOW + 20, "op 9")
    process = Process([stored])

    gaps = [(gap["first_seq"], gap["last_seq"], gap["from"]) for gap in process.gaps()]
    assert gaps == [(4, None, NOW + 20), (2, 3, NOW + 10)]


def test_an_ended_session_leaves_the_books_when_all_is_done():
    process = Process()
    process.receive(3)
    process.books.end(process.book, 3, (), NOW, "op 9")
    process.outbox.close_session("a")
    process.publish(10)

    (last,) = process.books.entries()
    assert (last.published, last.in_flight, last.unsent_gaps, last.is_settled, last.faults()) == (3, 0, (), True, ())
    assert process.books.entries() == []


def test_a_ledger_that_does_not_balance_is_logged_once(caplog):
    process = Process()
    process.receive(1)
    process.book.received_seq = 9

    assert not process.books.check()
    process.books.check()
    assert [record.message for record in caplog.records] == ["ledger.unbalanced"]


def test_the_memory_that_died_begins_at_the_oldest_that_the_broker_did_not_have():
    killed = Process()
    killed.receive(5)
    _, *confirmed = killed.outbox.take(5, ALL)
    killed.outbox.confirm(confirmed)
    stored = killed.books.end(killed.book, 5, (), NOW, "op 9")
    process = Process([stored])

    assert (stored.in_flight, stored.in_flight_from) == (1, 1)
    assert (1, 5) in [(gap["first_seq"], gap["last_seq"]) for gap in process.gaps()]


def test_the_memory_that_died_begins_before_what_routes_filter():
    killed = Process()
    killed.receive(1)
    for seq in range(2, 11):
        killed.outbox.skip("a", seq)
    killed.book.heard(10, NOW)
    stored = killed.books.end(killed.book, 10, (), NOW, "op 9")

    assert (1, 10) in [(gap["first_seq"], gap["last_seq"]) for gap in Process([stored]).gaps()]


def test_a_lost_file_begins_at_its_oldest_row_in_whatever_order_confirms_came():
    killed = Process()
    killed.receive(5)
    in_flight = killed.outbox.take(5, ALL)
    killed.to_disk()
    killed.outbox.confirm(in_flight[3:])
    process = Process([killed.saved()], seq=5)
    process.books.adopted(Adoption(), NOW)

    (gap,) = process.gaps()
    assert (gap["first_seq"], gap["last_seq"]) == (1, 5)


def test_a_gap_on_a_disk_that_is_lost_is_told_again():
    process = Process()
    process.books.end(process.book, 0, (), NOW, "op 9")
    process.to_disk()
    process.books.entries()
    for loss in process.outbox.spool_lost():
        process.books.lost(loss, NOW)

    assert [(gap["first_seq"], gap["last_seq"]) for gap in process.gaps()] == [(1, None)]


def test_a_gap_on_a_disk_that_is_gone_at_the_next_start_is_told_again():
    killed = Process()
    killed.receive(3)
    killed.books.end(killed.book, 3, (), NOW, "op 9")
    killed.to_disk()
    process = Process(killed.books.entries())
    process.books.adopted(Adoption(), NOW)

    assert (4, None) in [(gap["first_seq"], gap["last_seq"]) for gap in process.gaps()]


def test_what_was_on_disk_is_not_called_published_before_the_files_were_looked_at():
    killed = Process()
    killed.receive(3)
    killed.to_disk()
    ended = killed.books.end(killed.book, 3, (), NOW, "op 9")
    process = Process([ended])
    entry = next(each for each in process.books.entries() if each.session == "a")

    assert (entry.spooled, entry.published, entry.spool_files, entry.is_settled) == (3, 0, ("memory.db",), False)


def test_what_a_living_process_had_on_disk_is_published_once_its_file_is_gone():
    killed = Process()
    killed.receive(4)
    killed.to_disk()
    process = Process([killed.saved()], seq=4)
    process.books.adopted(Adoption(files=FILE, left=FILE), NOW)
    before = process.now()
    process.books.adopted(Adoption(), NOW)
    after = process.now()

    assert (before.spooled, before.published, before.faults()) == (4, 0, ())
    assert (after.spooled, after.published, after.faults(), process.gaps()) == (0, 4, (), [])
