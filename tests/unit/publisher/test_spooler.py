"""The rounds of the spooler on a real spool, without its thread."""

import time

import pytest

from gateway_service.publisher import Outbox, Owner, Spool, Spooler
from tests.support.publishing import make_envelope

SIZE = make_envelope().size_bytes
ALL = 10**9


@pytest.fixture
def processes(tmp_path):
    """Make the spool, the outbox and the spooler of processes that run shard 0 of one; all are closed at the end."""
    made = []

    def make():
        spool = Spool(tmp_path / "spool", ALL, Owner(num_shards=1, shard_ids=[0], service_shard_ids=[0]))
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
