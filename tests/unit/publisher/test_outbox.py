"""The outbox: in order, bounded, and a watermark that never passes what was confirmed."""

import pytest

from gateway_service.publisher import Counts, Outbox
from gateway_service.publisher.envelope import ENVELOPE_OVERHEAD_BYTES, Envelope
from tests.support.publishing import make_envelope

ALL = 10**9


def seqs(envelopes: list[Envelope]) -> list[int]:
    return [envelope.seq for envelope in envelopes]


def filled(*numbers: int, session: str = "a") -> Outbox:
    outbox = Outbox()
    outbox.open_session(session, 0)
    for seq in numbers:
        outbox.put(make_envelope(seq, session=session))
    return outbox


def test_envelopes_come_out_in_order() -> None:
    outbox = filled(1, 2, 3)

    assert seqs(outbox.take(2, ALL)) == [1, 2]
    assert seqs(outbox.take(2, ALL)) == [3]


def test_a_batch_ends_with_the_envelope_that_reaches_its_size() -> None:
    outbox = Outbox()
    for seq in (1, 2, 3):
        outbox.put(make_envelope(seq, raw=b"x" * 100))

    assert seqs(outbox.take(10, 150)) == [1, 2]


def test_the_watermark_waits_for_the_oldest() -> None:
    outbox = filled(1, 2, 3)
    one, two, three = outbox.take(3, ALL)

    outbox.confirm([two, three])
    before = outbox.published_seq("a")
    outbox.confirm([one])

    assert (before, outbox.published_seq("a")) == (0, 3)


def test_what_the_broker_never_takes_is_let_go_and_counted_apart() -> None:
    outbox = filled(1)
    large = make_envelope(2, session="a", raw=b"x" * 1000)
    outbox.put(large)
    outbox.put(make_envelope(3, session="a"))
    first, _ = outbox.take(2, ALL)
    outbox.confirm([first])

    given_up = outbox.give_up(1000)

    assert given_up == [large]
    assert (outbox.published_seq("a"), outbox.in_flight) == (2, 0)
    assert outbox.counts("a") == Counts(
        received=3,
        published=1,
        given_up=1,
        pending=1,
        pending_from=3,
        pending_bytes=make_envelope(3).size_bytes,
        oldest_at=make_envelope().received_at,
    )


def test_one_session_does_not_wait_for_another() -> None:
    outbox = filled(1)
    outbox.put(make_envelope(7, session="b"))
    _, other = outbox.take(2, ALL)

    outbox.confirm([other])

    assert outbox.published_seq("a") == 0
    assert outbox.published_seq("b") == 7


def test_an_opened_session_starts_where_it_was_published() -> None:
    outbox = Outbox()

    outbox.open_session("a", 41)

    assert outbox.published_seq("a") == 41


def test_an_unknown_session_has_no_watermark() -> None:
    assert Outbox().published_seq("a") is None


def test_a_skipped_dispatch_moves_the_watermark_when_nothing_is_before_it() -> None:
    outbox = filled()

    outbox.skip("a", 1)

    assert outbox.published_seq("a") == 1


def test_a_skipped_dispatch_waits_for_those_before_it() -> None:
    outbox = filled(1)
    outbox.skip("a", 2)
    before = outbox.published_seq("a")

    outbox.confirm(outbox.take(1, ALL))

    assert (before, outbox.published_seq("a")) == (0, 2)


def test_after_a_rewind_the_unconfirmed_come_first_and_in_order() -> None:
    outbox = filled(1, 2, 3, 4, 5)
    taken = outbox.take(4, ALL)
    outbox.confirm([taken[1]])

    outbox.rewind()

    assert outbox.in_flight == 0
    assert seqs(outbox.take(10, ALL)) == [1, 3, 4, 5]


def test_refused_envelopes_are_the_next_and_the_others_stay_in_flight() -> None:
    outbox = filled(1, 2, 3, 4)
    taken = outbox.take(3, ALL)

    outbox.give_back([taken[2], taken[0]])

    assert outbox.in_flight == 1
    assert seqs(outbox.take(10, ALL)) == [1, 3, 4]


def test_a_full_outbox_says_so_and_still_keeps_what_it_was_given() -> None:
    outbox = Outbox(max_bytes=2 * ENVELOPE_OVERHEAD_BYTES)

    answers = [outbox.put(make_envelope(seq, raw=b"12345")) for seq in (1, 2, 3)]

    assert answers == [True, False, False]
    assert outbox.is_full
    assert seqs(outbox.take(10, ALL)) == [1, 2, 3]


def test_confirming_makes_room() -> None:
    outbox = Outbox(max_bytes=ENVELOPE_OVERHEAD_BYTES)
    outbox.put(make_envelope(1))

    outbox.confirm(outbox.take(1, ALL))

    assert not outbox.is_full
    assert outbox.is_empty


def test_it_has_settled_when_half_of_it_is_free() -> None:
    outbox = Outbox(max_bytes=4 * make_envelope().size_bytes)
    for seq in (1, 2, 3):
        outbox.put(make_envelope(seq))
    before = outbox.has_settled

    outbox.confirm(outbox.take(1, ALL))

    assert (before, outbox.has_settled) == (False, True)


def test_taken_is_not_empty() -> None:
    outbox = filled(1)

    outbox.take(1, ALL)

    assert not outbox.is_empty


def test_counts_add_up() -> None:
    outbox = filled(1, 2, 3)
    outbox.skip("a", 4)
    outbox.confirm(outbox.take(1, ALL))

    pending_bytes = 2 * make_envelope().size_bytes
    assert outbox.counts() == Counts(
        received=4,
        published=1,
        filtered=1,
        pending=2,
        pending_bytes=pending_bytes,
        oldest_at=make_envelope().received_at,
    )


def test_counts_of_a_session_are_its_own() -> None:
    outbox = filled(1, 2)
    outbox.put(make_envelope(1, session="b"))

    assert outbox.counts("a").received == 2
    assert outbox.counts("b").received == 1
    assert outbox.counts("c") == Counts()


def test_a_closed_session_is_published_to_the_end_and_stays_in_the_totals() -> None:
    outbox = filled(1, 2)

    outbox.close_session("a")
    while_open = outbox.published_seq("a")
    outbox.confirm(outbox.take(2, ALL))

    assert while_open == 0
    assert outbox.published_seq("a") is None
    assert outbox.counts() == Counts(received=2, published=2)


def test_a_closed_session_that_gets_more_is_open_again() -> None:
    outbox = filled()
    outbox.close_session("a")

    outbox.put(make_envelope(9, session="a"))
    outbox.confirm(outbox.take(1, ALL))

    assert outbox.published_seq("a") == 9


@pytest.mark.parametrize("late", [1, 2])
def test_a_replayed_number_does_not_lower_the_watermark(late: int) -> None:
    outbox = filled(1, 2, 3, late)

    outbox.confirm(outbox.take(4, ALL))

    assert outbox.published_seq("a") == 3
