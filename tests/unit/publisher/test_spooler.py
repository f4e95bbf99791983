"""The rounds of the spooler on a real spool, without its thread."""

import time

import pytest

from gateway_service.errors import SpoolUnavailable
from gateway_service.publisher import Outbox, Owner, Spool, Spooler
from gateway_service.publisher.spooler import READ_PATIENCE_S, TICK_S
from tests.support.publishing import make_envelope

SIZE = make_envelope().size_bytes
ALL = 10**9


class SickSpool(Spool):
    """A spool whose disk can be written and, while it is told so, not read."""

    is_unreadable = False

    def read(self, after, limit, limit_bytes):
        if self.is_unreadable:
            raise SpoolUnavailable("1-0.db", "disk I/O error")
        return super().read(after, limit, limit_bytes)


@pytest.fixture
def processes(tmp_path):
    """Make the spool, the outbox and the spooler of processes that run shard 0 of one; all are closed at the end."""
    made = []

    def make():
        spool = SickSpool(tmp_path / "spool", ALL, Owner(num_shards=1, shard_ids=[0], service_shard_ids=[0]))
        outbox = Outbox(10 * SIZE, spool)
        outbox.open_session("a", 0)
        made.append(spool)
        return spool, outbox, Spooler(spool, outbox)

    yield make
    for spool in made:
        spool.close()


def fill(outbox, first, last):
    for seq in range(first, last + 1):
        outbox.put(make_envelope(seq, session="a", num_shards=1))


def leave_behind(processes, first, last):
    """Be a process that ended with some dispatches on the disk."""
    spool, _, _ = processes()
    spool.append([make_envelope(seq, session="a", num_shards=1) for seq in range(first, last + 1)])
    spool.close()


@pytest.fixture
def unreadable(tmp_path):
    """A file that no process has and none can read, whoever runs the tests."""
    path = tmp_path / "spool" / "1-0-unreadable.db"
    path.mkdir(parents=True)
    return path


def test_a_folder_that_cannot_be_made_is_told_at_the_start_and_until_it_can(processes, tmp_path):
    (tmp_path / "spool").write_text("a file")
    _, _, spooler = processes()

    spooler.open()
    before = spooler.error
    (tmp_path / "spool").unlink()
    spooler.work(time.monotonic() + 5.0)

    assert "spool is not available: it cannot be made or written: File exists" in before
    assert spooler.error is None


def test_a_file_that_cannot_be_read_does_not_keep_what_comes_from_the_disk(processes, unreadable):
    spool, outbox, spooler = processes()
    spooler.open()
    fill(outbox, 1, 6)

    spooler.work(time.monotonic())

    assert (spool.rows, outbox.published_seq("a")) == (6, 6)
    assert str(unreadable) in spooler.error


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_published(processes, unreadable):
    leave_behind(processes, 1, 3)
    unreadable.touch()  # it is looked at last
    _, outbox, spooler = processes()

    spooler.open()

    assert [each.seq for each in outbox.take(10, ALL)] == [1, 2, 3]
    (adoption,) = spooler.adoptions
    assert (len(adoption.files), adoption.left) == (2, {unreadable.name})
    assert str(unreadable) in adoption.failure


@pytest.fixture
def sick(processes):
    """An outbox with one dispatch, on a disk that cannot be read."""
    spool, outbox, spooler = processes()
    fill(outbox, 1, 1)
    outbox.spooled(spool.append(outbox.take_to_spool(ALL)))
    spool.is_unreadable = True
    return spool, outbox, spooler


def read_for(outbox, spooler, first_s, last_s, rounds_per_read):
    """Let the publisher read, and fail, from one second to another; return when the file was given up."""
    for number in range(int(first_s / TICK_S), int(last_s / TICK_S)):
        if number % rounds_per_read == 0:
            outbox.take(10, ALL)
        spooler.work(number * TICK_S)
        if spooler.losses:
            return number * TICK_S
    return None


@pytest.mark.parametrize("rounds_per_read", [1, 2, 8])
def test_a_disk_that_cannot_be_read_is_given_up_however_slowly_it_fails(sick, rounds_per_read):
    _, outbox, spooler = sick

    given_up_at = read_for(outbox, spooler, 0.0, 20.0, rounds_per_read)

    assert READ_PATIENCE_S <= given_up_at <= READ_PATIENCE_S + rounds_per_read * TICK_S
    assert outbox.counts("a").lost == 1


def test_the_file_begun_after_one_that_was_given_up_has_the_same_patience(sick):
    spool, outbox, spooler = sick
    given_up_at = read_for(outbox, spooler, 0.0, 20.0, 1)
    spooler.losses.clear()
    fill(outbox, 2, 2)
    outbox.spooled(spool.append(outbox.take_to_spool(ALL)))

    assert read_for(outbox, spooler, given_up_at + TICK_S, given_up_at + READ_PATIENCE_S, 1) is None


def test_a_read_that_succeeds_makes_a_disk_healthy(sick):
    spool, outbox, spooler = sick
    read_for(outbox, spooler, 0.0, READ_PATIENCE_S, 2)
    spool.is_unreadable = False
    outbox.take(10, ALL)
    outbox.rewind()
    spool.is_unreadable = True

    assert read_for(outbox, spooler, READ_PATIENCE_S, 2 * READ_PATIENCE_S, 2) is None


def test_a_disk_that_nobody_read_for_long_is_not_given_up_at_the_next_failure(sick):
    _, outbox, spooler = sick
    read_for(outbox, spooler, 0.0, 1.0, 1)
    for number in range(4, 200):  # the broker is away
        spooler.work(number * TICK_S)

    assert read_for(outbox, spooler, 50.0, 60.0, 2) is None


def test_a_file_begun_after_a_lost_one_is_read_from_its_first_row(processes):
    spool, outbox, _ = processes()
    fill(outbox, 1, 3)
    first, *others = outbox.take(3, ALL)
    outbox.spooled(spool.append(outbox.take_to_spool(ALL)))
    outbox.confirm(others)  # out of order, so that they are known by their rows until the first is confirmed
    spool.set_aside()
    outbox.spool_lost()
    fill(outbox, 4, 6)
    outbox.spooled(spool.append(outbox.take_to_spool(ALL)))

    taken = outbox.take(10, ALL)
    outbox.confirm([first, *taken])

    assert ([each.seq for each in taken], outbox.is_empty) == ([4, 5, 6], True)
