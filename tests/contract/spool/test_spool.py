"""What the outbox relies on, of the spool on disk and of the fake in memory."""

import os

import pytest

from gateway_service.publisher import Owner, Spool
from tests.support.disk import fill, small_disk
from tests.support.publishing import make_envelope
from tests.support.spools import MemorySpool

ALL = 10**9


@pytest.fixture(params=["disk", "memory"])
def spool(request, tmp_path):
    if request.param == "memory":
        yield MemorySpool()
        return
    spool = Spool(tmp_path / "spool", ALL, Owner(num_shards=16, shard_ids=[3], service_shard_ids=[3]))
    yield spool
    spool.close()


def seqs(envelopes):
    return [envelope.seq for envelope in envelopes]


def test_envelopes_come_back_as_they_were_with_their_rows(spool):
    odd = make_envelope(2, event="\ud800 odd", guild_id=2**64 - 1, kind="join", raw=b'{"n":[1.50,null]}')
    direct = make_envelope(3, guild_id=None)

    rows = spool.append([make_envelope(1), odd, direct])

    assert spool.read(0, 10, ALL) == [make_envelope(1), odd, direct]
    assert [each.row for each in spool.read(0, 10, ALL)] == list(rows)


def test_they_come_in_the_order_of_writing(spool):
    spool.append([make_envelope(5), make_envelope(6)])
    spool.append([make_envelope(1, session="b"), make_envelope(7)])

    assert seqs(spool.read(0, 10, ALL)) == [5, 6, 1, 7]


def test_reading_goes_on_after_a_row(spool):
    rows = spool.append([make_envelope(seq) for seq in range(1, 6)])

    assert seqs(spool.read(rows[1], 2, ALL)) == [3, 4]


def test_a_reading_ends_with_the_envelope_that_reaches_its_size(spool):
    spool.append([make_envelope(seq, raw=b"x" * 100) for seq in range(1, 6)])

    assert seqs(spool.read(0, 10, 150)) == [1, 2]


def test_deleted_rows_are_gone_and_their_numbers_never_come_again(spool):
    rows = spool.append([make_envelope(1), make_envelope(2)])
    spool.delete(dict.fromkeys(rows, make_envelope().size_bytes))

    assert (spool.rows, spool.size_bytes, spool.read(0, 10, ALL)) == (0, 0, [])
    assert spool.append([make_envelope(3)])[0] > rows[-1]


def test_the_numbers_of_a_lost_file_never_come_again(spool):
    rows = spool.append([make_envelope(1), make_envelope(2)])
    spool.set_aside()

    assert (spool.rows, spool.size_bytes, spool.read(0, 10, ALL)) == (0, 0, [])
    assert spool.append([make_envelope(3)])[0] > rows[-1]


def test_it_counts_what_it_holds(spool):
    spool.append([make_envelope(1), make_envelope(2)])

    assert (spool.rows, spool.size_bytes) == (2, 2 * make_envelope().size_bytes)


def test_an_empty_one_has_nothing_to_read(spool):
    assert spool.read(0, 10, ALL) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_quarter_of_a_small_disk_is_left_to_others(tmp_path):
    with small_disk(tmp_path / "disk", size_kib=1024) as disk:
        spool = Spool(disk / "spool", ALL, Owner(num_shards=1, shard_ids=[0], service_shard_ids=[0]))
        before = spool.why_full()
        filling = fill(disk)
        assert (before, spool.why_full()) == (None, "its disk has 0 bytes free, and it leaves 262144")
        filling.unlink()
        assert spool.why_full() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_on_a_full_disk_there_is_room_for_as_much_as_was_deleted(tmp_path):
    with small_disk(tmp_path / "disk", size_kib=24 * 1024) as disk:
        spool = Spool(disk / "spool", ALL, Owner(num_shards=1, shard_ids=[0], service_shard_ids=[0]))
        sizes = {}
        while spool.why_full() is None:
            envelope = make_envelope(len(sizes) + 1, raw=b"x" * 65536)
            sizes |= dict.fromkeys(spool.append([envelope]), envelope.size_bytes)
        spool.delete(dict(list(sizes.items())[:-1]))
        assert spool.why_full() is None

        for seq in range(len(sizes) // 3):
            spool.append([make_envelope(seq, raw=b"x" * 65536)])
        assert spool.rows == 1 + len(sizes) // 3
