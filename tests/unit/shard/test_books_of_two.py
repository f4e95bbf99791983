"""Two processes that share a folder of spool files: each learns what became of its own rows, whoever looks first."""

import json

import pytest

from gateway_service.contract import GAP_EVENT
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.publisher import Outbox, Owner, Spool, Spooler
from gateway_service.shard.books import Books
from tests.support.publishing import make_envelope

ALL = 10**9
NOW = 1000.0


class Half:
    """One of two processes: it runs one shard, and begins with what is in the folder and in the store."""

    def __init__(self, folder, shard_id, stored=()):
        self.shard_id, self.session = shard_id, f"s{shard_id}"
        self.spool = Spool(folder, ALL, Owner(num_shards=2, shard_ids=(shard_id,), service_shard_ids=(0, 1)))
        self.outbox = Outbox(ALL, self.spool)
        self.spooler = Spooler(self.spool, self.outbox)
        self.spooler.open()
        self.books = Books(self.outbox, stored)
        seq = stored[0].seq if stored else 0
        self.outbox.open_session(self.session, seq)
        self.book = self.books.follow(self.session, shard_id, 2, seq, NOW)
        self.books.begin(NOW)
        self.take_note()

    def take_note(self):
        while self.spooler.adoptions:
            self.books.adopted(self.spooler.adoptions.popleft(), NOW)

    def look(self):
        self.spooler.open()
        self.take_note()

    def receive_on_disk(self, count):
        for seq in range(1, count + 1):
            self.outbox.put(make_envelope(seq, session=self.session, shard_id=self.shard_id, num_shards=2))
        self.book.heard(count, NOW)
        self.outbox.spooled(self.spool.append(self.outbox.take_to_spool(ALL)))

    def saved(self) -> SessionLedger:
        self.book.mark(*self.outbox.safe_counts(self.session))
        return next(entry for entry in self.books.entries() if entry.session == self.session)

    def now(self):
        return self.book.now(self.outbox.counts(self.session))

    def die(self):
        self.spool._file.close()
        self.spool._file = None

    def gaps(self):
        taken = self.outbox.take(1000, ALL)
        told = [json.loads(each.raw) for each in taken if each.event == GAP_EVENT]
        return [(gap["session"], gap["first_seq"], gap["last_seq"]) for gap in told]


@pytest.fixture
def killed(tmp_path):
    """Two processes that were killed with three dispatches on the disk each: their files and ledgers."""
    left = []
    for shard_id in (0, 1):
        half = Half(tmp_path, shard_id)
        half.receive_on_disk(3)
        stored = half.saved()
        half.die()
        (name,) = stored.spool_files
        left.append((tmp_path / name, stored))
    return left


@pytest.fixture
def again(tmp_path, killed):
    """Start both once more, in the order of their shards; all files are closed at the end."""
    halves = []

    def start():
        halves.extend(Half(tmp_path, shard_id, [stored]) for shard_id, (_, stored) in enumerate(killed))
        return halves

    yield start
    for half in halves:
        half.spool.close()


def test_both_go_on_with_what_they_had(again):
    first, second = again()

    assert (first.gaps(), second.gaps()) == ([], [])
    assert (first.now().spooled, second.now().spooled) == (3, 3)


def test_a_damaged_file_is_a_gap_also_when_the_other_process_found_it(again, killed):
    killed[1][0].write_bytes(b"this is no database" * 1000)
    first, second = again()

    assert (first.gaps(), second.gaps()) == ([], [("s1", 1, 3)])
    assert (second.now().published, second.now().lost, second.now().faults()) == (0, 3, ())


def test_a_deleted_file_is_a_gap_also_when_the_other_is_there(again, killed):
    killed[1][0].unlink()
    first, second = again()

    assert (first.gaps(), second.gaps()) == ([], [("s1", 1, 3)])


def test_a_file_moved_aside_by_a_process_that_was_killed_then_is_a_gap(again, killed, tmp_path):
    killed[1][0].write_bytes(b"this is no database" * 1000)
    Half(tmp_path, 1).spool.close()
    _, second = again()

    assert second.gaps() == [("s1", 1, 3)]


def test_what_a_draining_process_publishes_is_published(tmp_path):
    draining = Half(tmp_path, 0)
    draining.receive_on_disk(3)
    half = Half(tmp_path, 0, [draining.saved()])
    before = half.now()
    draining.outbox.confirm(draining.outbox.take(3, ALL))
    draining.spool.delete(draining.outbox.settled())
    draining.spool.close()
    half.look()

    assert (before.spooled, before.published, before.faults()) == (3, 0, ())
    assert (half.now().spooled, half.now().published, half.now().faults(), half.gaps()) == (0, 3, (), [])


def test_what_a_draining_process_published_is_no_gap_after_its_successor_was_killed(tmp_path):
    draining = Half(tmp_path, 0)
    draining.receive_on_disk(3)
    killed = Half(tmp_path, 0, [draining.saved()])
    draining.outbox.confirm(draining.outbox.take(3, ALL))
    draining.spool.delete(draining.outbox.settled())
    draining.spool.close()
    half = Half(tmp_path, 0, [killed.saved()])

    assert (half.now().spooled, half.now().published, half.now().faults(), half.gaps()) == (0, 3, (), [])


def test_what_is_taken_over_behind_newer_rows_is_in_the_gap_of_all(tmp_path):
    draining = Half(tmp_path, 0)
    draining.receive_on_disk(3)
    half = Half(tmp_path, 0, [draining.saved()])
    for seq in (4, 5):
        half.outbox.put(make_envelope(seq, session="s0", shard_id=0, num_shards=2))
    half.outbox.spooled(half.spool.append(half.outbox.take_to_spool(ALL)))
    draining.die()
    half.look()
    half.spool.set_aside()

    (loss,) = half.outbox.spool_lost()
    assert (loss.first_seq, loss.last_seq, loss.count) == (1, 5, 5)
