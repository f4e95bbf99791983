"""The publisher thread with a broker in memory that behaves as told."""

from itertools import count

import pytest

from gateway_service.publisher import Envelope, Link, Outbox, PublisherState, PublisherThread
from gateway_service.publisher.memory import MemoryBroker, MemoryLink
from gateway_service.publisher.ports import Receipts
from tests.support.publishing import SESSION, make_envelope, publishing
from tests.support.waiting import wait_until


def put(outbox: Outbox, *seqs: int) -> None:
    for seq in seqs:
        outbox.put(make_envelope(seq))


def seqs_at(broker: MemoryBroker) -> list[int]:
    return [envelope.seq for envelope in broker.messages]


def test_what_was_put_before_the_broker_was_there_is_published() -> None:
    broker, outbox = MemoryBroker(is_up=False), Outbox()

    with publishing(lambda: MemoryLink(broker), outbox) as thread:
        put(outbox, 1, 2)
        wait_until(lambda: thread.state is PublisherState.DOWN)
        broker.is_up = True
        wait_until(lambda: outbox.is_empty)

    assert seqs_at(broker) == [1, 2]


def test_why_the_broker_cannot_be_used_is_told_until_it_can() -> None:
    broker, outbox = MemoryBroker(is_up=False), Outbox()

    with publishing(lambda: MemoryLink(broker), outbox) as thread:
        wait_until(lambda: thread.state is PublisherState.DOWN)
        while_down = thread.last_error
        broker.is_up = True
        wait_until(lambda: thread.state is PublisherState.UP)

        assert while_down == "the broker at memory is not available: it is down"
        assert thread.last_error is None


def test_unconfirmed_messages_go_again_after_a_lost_connection_in_their_order() -> None:
    broker, outbox = MemoryBroker(is_confirming=False), Outbox()
    outbox.open_session(SESSION, 0)

    with publishing(lambda: MemoryLink(broker), outbox) as thread:
        put(outbox, 1, 2, 3)
        wait_until(lambda: len(broker.messages) == 3)
        broker.is_up = False
        wait_until(lambda: thread.state is PublisherState.DOWN)
        while_down = outbox.published_seq(SESSION)
        broker.is_confirming = broker.is_up = True
        wait_until(lambda: outbox.is_empty)

    assert while_down == 0
    assert seqs_at(broker) == [1, 2, 3, 1, 2, 3]
    assert outbox.published_seq(SESSION) == 3


def test_nothing_is_sent_while_the_broker_blocks() -> None:
    broker, outbox = MemoryBroker(blocked_reason="alarm"), Outbox()

    with publishing(lambda: MemoryLink(broker), outbox) as thread:
        put(outbox, 1)
        wait_until(lambda: thread.state is PublisherState.BLOCKED)
        while_blocked = seqs_at(broker)
        broker.blocked_reason = None
        wait_until(lambda: outbox.is_empty)

    assert while_blocked == []
    assert seqs_at(broker) == [1]


def test_refused_messages_go_again_before_the_ones_that_wait() -> None:
    broker, outbox = MemoryBroker(refuses=2), Outbox()
    put(outbox, 1, 2, 3)

    with publishing(lambda: MemoryLink(broker, window=2), outbox):
        wait_until(lambda: outbox.is_empty)

    assert seqs_at(broker) == [1, 2, 3]


def test_a_message_that_the_broker_never_takes_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    broker, outbox = MemoryBroker(max_body_bytes=1000), Outbox()
    outbox.open_session(SESSION, 0)
    put(outbox, 1)
    outbox.put(make_envelope(2, raw=b'{"content":"%b"}' % (b"private" * 200)))
    put(outbox, 3)

    with publishing(lambda: MemoryLink(broker), outbox):
        wait_until(lambda: outbox.is_empty)

    assert set(seqs_at(broker)) == {1, 3}
    assert outbox.published_seq(SESSION) == 3
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert told.message == "publisher.gave_up"
    assert "private" not in caplog.text


def test_no_more_than_the_window_is_unconfirmed() -> None:
    broker, outbox = MemoryBroker(is_confirming=False), Outbox()

    with publishing(lambda: MemoryLink(broker, window=5), outbox):
        put(outbox, *range(1, 21))
        wait_until(lambda: len(broker.messages) == 5)
        in_flight = outbox.in_flight
        broker.is_confirming = True
        wait_until(lambda: outbox.is_empty)

    assert in_flight == 5
    assert seqs_at(broker) == list(range(1, 21))


def test_stopping_publishes_what_is_left() -> None:
    broker, outbox = MemoryBroker(), Outbox()
    thread = PublisherThread(lambda: MemoryLink(broker), outbox)
    thread.start()
    put(outbox, *range(1, 501))

    is_flushed = thread.stop(10.0)

    assert is_flushed
    assert seqs_at(broker) == list(range(1, 501))
    assert thread.state is PublisherState.STOPPED


def test_stopping_gives_up_in_time_and_says_so() -> None:
    outbox = Outbox()
    thread = PublisherThread(lambda: MemoryLink(MemoryBroker(is_up=False)), outbox)
    thread.start()
    put(outbox, 1)

    assert not thread.stop(0.1)


def test_stopping_waits_for_confirms_asleep() -> None:
    polled = count()

    class CountingLink(MemoryLink):
        def poll(self) -> Receipts:
            next(polled)
            return super().poll()

    broker, outbox = MemoryBroker(is_confirming=False), Outbox()
    thread = PublisherThread(lambda: CountingLink(broker), outbox)
    thread.start()
    put(outbox, 1)
    wait_until(lambda: outbox.in_flight == 1)

    assert not thread.stop(0.3)
    assert next(polled) < 30


def test_stopping_an_idle_publisher_is_immediate() -> None:
    thread = PublisherThread(lambda: MemoryLink(MemoryBroker()), Outbox())
    thread.start()

    assert thread.stop(0.2)
    assert thread.state is PublisherState.STOPPED


class FaultyLink(MemoryLink):
    """A link with a fault in its code."""

    def send(self, batch: object) -> None:  # noqa: ARG002 - the port has it
        raise ZeroDivisionError


def test_a_fault_of_our_own_ends_the_thread_and_is_kept_for_its_owner() -> None:
    outbox = Outbox()
    envelope: Envelope = make_envelope(1)

    def make_link() -> Link:
        return FaultyLink(MemoryBroker())

    with publishing(make_link, outbox) as thread:
        outbox.put(envelope)
        wait_until(lambda: thread.state is PublisherState.FAILED)

    assert isinstance(thread.failure, ZeroDivisionError)
    assert not outbox.is_empty


@pytest.mark.parametrize("session", ["a", "b"])
def test_many_sessions_share_one_publisher(session: str) -> None:
    broker, outbox = MemoryBroker(), Outbox()

    with publishing(lambda: MemoryLink(broker), outbox):
        for seq in range(1, 101):
            for each in ("a", "b"):
                outbox.put(make_envelope(seq, session=each))
        wait_until(lambda: outbox.is_empty)

    assert [each.seq for each in broker.messages if each.session == session] == list(range(1, 101))
    assert outbox.published_seq(session) == 100
