"""The outbox with a spool: the same order and the same counts, wherever an envelope lies."""

import pytest

from gateway_service.publisher import Outbox
from gateway_service.publisher.spool_file import Rows
from tests.support.publishing import make_envelope
from tests.support.spools import MemorySpool
from tests.unit.publisher.test_outbox import ALL, seqs

SIZE = make_envelope().size_bytes


@pytest.fixture
def spool():
    return MemorySpool()


@pytest.fixture
def outbox(spool):
    outbox = Outbox(10 * SIZE, spool)
    outbox.open_session("a", 0)
    for seq in range(1, 6):
        outbox.put(make_envelope(seq, session="a"))
    return outbox


def write(outbox, spool, limit_bytes=ALL):
    outbox.spooled(spool.append(outbox.take_to_spool(limit_bytes)))


def rows_of(session, first_seq, last_seq):
    count = last_seq - first_seq + 1
    return Rows(
        session=session,
        shard_id=0,
        num_shards=1,
        count=count,
        size_bytes=count * SIZE,
        first_seq=first_seq,
        last_seq=last_seq,
        oldest_at=0.0,
    )


def drain(outbox):
    """Publish and confirm everything; return it in the order of taking."""
    taken = []
    while outbox.has_waiting:
        batch = outbox.take(2, ALL)
        taken += seqs(batch)
        outbox.confirm(batch)
    return taken


def test_what_is_on_disk_is_safe_and_out_of_memory(outbox, spool):
    write(outbox, spool)

    assert (outbox.published_seq("a"), outbox.pending_bytes, outbox.is_empty) == (5, 0, False)
    assert (outbox.counts("a").spooled, outbox.counts("a").pending) == (5, 0)


def test_the_disk_goes_out_before_what_came_later(outbox, spool):
    write(outbox, spool)
    outbox.put(make_envelope(6, session="a"))

    assert drain(outbox) == [1, 2, 3, 4, 5, 6]
    assert outbox.counts("a").published == 6


def test_nothing_is_taken_while_it_is_on_its_way_to_the_disk(outbox, spool):
    batch = outbox.take_to_spool(ALL)
    while_writing = (outbox.take(10, ALL), outbox.has_waiting)
    outbox.spooled(spool.append(batch))

    assert while_writing == ([], False)
    assert seqs(outbox.take(10, ALL)) == [1, 2, 3, 4, 5]


def test_what_the_disk_did_not_take_waits_in_its_old_place(outbox):
    outbox.take_to_spool(2 * SIZE)
    outbox.not_spooled()

    assert drain(outbox) == [1, 2, 3, 4, 5]


def test_what_is_in_flight_goes_to_the_disk_and_not_out_twice(outbox, spool):
    in_flight = outbox.take(2, ALL)
    write(outbox, spool)
    safe = outbox.published_seq("a")
    outbox.confirm(in_flight)

    assert safe == 5
    assert drain(outbox) == [3, 4, 5]


def test_after_a_lost_connection_what_was_in_flight_comes_from_the_disk_first(outbox, spool):
    outbox.take(2, ALL)
    write(outbox, spool)

    outbox.rewind()

    assert outbox.pending_bytes == 0
    assert drain(outbox) == [1, 2, 3, 4, 5]


def test_a_lost_connection_passes_over_nothing_that_was_taken_over_meanwhile(outbox, spool):
    outbox.take(2, ALL)
    spool.append([make_envelope(seq, session="before") for seq in (7, 8)])
    outbox.adopt([rows_of("before", 7, 8)], spool.last_row)
    write(outbox, spool)  # in flight, and behind what was taken over

    outbox.rewind()

    assert drain(outbox) == [7, 8, 1, 2, 3, 4, 5]


def test_a_connection_lost_while_the_disk_is_written_changes_nothing(outbox, spool):
    outbox.take(2, ALL)
    batch = outbox.take_to_spool(ALL)
    outbox.rewind()
    outbox.spooled(spool.append(batch))

    assert drain(outbox) == [1, 2, 3, 4, 5]


def test_what_is_confirmed_while_it_is_written_counts_as_published(outbox, spool):
    in_flight = outbox.take(2, ALL)
    batch = outbox.take_to_spool(ALL)
    outbox.confirm(in_flight)
    outbox.spooled(spool.append(batch))

    assert (outbox.counts("a").published, outbox.counts("a").spooled) == (2, 3)
    assert list(outbox.settled()) == [1, 2]
    assert drain(outbox) == [3, 4, 5]


def test_what_is_confirmed_and_not_yet_deleted_is_not_read_again(outbox, spool):
    write(outbox, spool)
    first = outbox.take(3, ALL)
    outbox.confirm(first[1:])
    outbox.rewind()

    assert drain(outbox) == [1, 4, 5]


def test_deleted_rows_are_forgotten(outbox, spool):
    write(outbox, spool)
    drain(outbox)

    sizes = outbox.settled()
    spool.delete(sizes)
    outbox.deleted(sizes)

    assert (outbox.settled(), spool.rows, spool.size_bytes) == ({}, 0, 0)


def test_a_refused_message_on_disk_goes_again_from_memory(outbox, spool):
    in_flight = outbox.take(2, ALL)
    write(outbox, spool)
    outbox.give_back(in_flight[:1])

    assert seqs(outbox.take(10, ALL)) == [1]
    assert seqs(outbox.take(10, ALL)) == [3, 4, 5]


def test_a_disk_that_cannot_be_read_holds_everything_up_until_somebody_heals_it(outbox, spool):
    write(outbox, spool)
    outbox.put(make_envelope(6, session="a"))
    spool.is_broken = True
    while_broken = (outbox.take(10, ALL), outbox.has_waiting)
    spool.is_broken, outbox.read_error = False, None

    assert while_broken == ([], False)
    assert drain(outbox) == [1, 2, 3, 4, 5, 6]


def test_what_a_damaged_file_had_is_lost_and_counted_and_the_rest_goes_on(outbox, spool):
    in_flight = outbox.take(1, ALL)
    write(outbox, spool)
    outbox.put(make_envelope(6, session="a"))

    (loss,) = outbox.spool_lost()
    outbox.confirm(in_flight)

    assert (loss.session, loss.count, loss.last_seq) == ("a", 4, 5)
    assert drain(outbox) == [6]
    counts = outbox.counts("a")
    assert (counts.received, counts.published, counts.lost, counts.pending) == (6, 2, 4, 0)


def lose_file(outbox, spool):
    spool.set_aside()
    return outbox.spool_lost()


def test_what_is_in_flight_of_a_session_that_is_over_outlives_its_file(outbox, spool):
    in_flight = outbox.take(10, ALL)
    write(outbox, spool)
    outbox.close_session("a")

    losses = lose_file(outbox, spool)
    outbox.confirm(in_flight)

    assert (losses, outbox.is_empty) == ([], True)
    ((session, counts),) = outbox.finished()
    assert (session, counts.published, counts.pending, counts.lost) == ("a", 5, 0, 0)


def test_what_is_in_flight_of_what_was_taken_over_outlives_its_file(spool):
    spool.append([make_envelope(seq, session="before") for seq in (7, 8)])
    outbox = Outbox(ALL, spool)
    outbox.adopt([rows_of("before", 7, 8)], spool.last_row)
    in_flight = outbox.take(1, ALL)

    (loss,) = lose_file(outbox, spool)
    outbox.confirm(in_flight)

    assert (loss.count, outbox.is_empty, outbox.counts().published) == (1, True, 1)


def test_what_a_lost_file_leaves_in_memory_alone_is_not_called_done(outbox, spool):
    in_flight = outbox.take(2, ALL)
    write(outbox, spool)
    outbox.put(make_envelope(6, session="a"))
    lose_file(outbox, spool)

    seq, counts = outbox.safe_counts("a")
    outbox.confirm(in_flight)
    _, later = outbox.safe_counts("a")

    assert (seq, counts.received, counts.lost, counts.pending, counts.pending_from) == (5, 5, 3, 2, 1)
    assert (later.received, later.published, later.lost, later.pending, later.pending_from) == (5, 2, 3, 0, 0)


def test_what_a_lost_file_leaves_in_memory_alone_is_safe_in_the_next_one(outbox, spool):
    outbox.take(2, ALL)
    write(outbox, spool)
    lose_file(outbox, spool)

    write(outbox, spool)
    outbox.put(make_envelope(6, session="a"))
    _, counts = outbox.safe_counts("a")

    assert (counts.pending, counts.spooled, counts.lost) == (0, 2, 3)


def test_the_oldest_of_all_is_what_a_lost_file_leaves_in_memory(spool):
    outbox = Outbox(ALL, spool)
    for seq in (1, 2):
        outbox.put(make_envelope(seq, session="a", received_at=float(seq)))
    outbox.take(1, ALL)
    write(outbox, spool)
    lose_file(outbox, spool)
    outbox.put(make_envelope(3, session="a", received_at=3.0))

    assert (outbox.counts("a").oldest_at, outbox.counts("a").pending_from) == (1.0, 1)


def test_memory_and_disk_have_settled_when_both_have_room(outbox, spool):
    spool.max_bytes = 4 * SIZE
    write(outbox, spool)

    assert not outbox.has_settled
