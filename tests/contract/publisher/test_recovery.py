"""What links and the publisher thread do when the broker is in trouble: nothing is lost, nothing overtakes."""

from collections.abc import Sequence
from contextlib import closing
from threading import Event

import pytest

from gateway_service.contract import task_id_for
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.publisher import Link, Outbox, PublisherState
from gateway_service.publisher.memory import MemoryBroker, MemoryLink
from tests.support.publishing import (
    SESSION,
    KombuSubject,
    Received,
    Subject,
    make_envelope,
    publishing,
)
from tests.support.waiting import wait_until

# A restarted RabbitMQ recovers every virtual host, and each test before this file would have left one.
pytestmark = pytest.mark.slow

QUEUE = "default.events"


def prepare(subject: Subject) -> Outbox:
    with closing(subject.make_link()) as link:
        link.connect()
    subject.bind(QUEUE, "#")
    outbox = Outbox()
    outbox.open_session(SESSION, 0)
    return outbox


def put(outbox: Outbox, seqs: range) -> None:
    for seq in seqs:
        outbox.put(make_envelope(seq, raw=b'{"content":"%b"}' % (b"x" * 1000)))


def first_arrivals(received: Sequence[Received]) -> list[int]:
    return list(dict.fromkeys(each.headers["seq"] for each in received))


def test_a_killed_broker_has_all_below_the_watermark_and_gets_the_rest_in_order(server: KombuSubject) -> None:
    # RabbitMQ forgets a quorum queue declared a moment before a kill -9; classic ones are as durable on one node.
    server.queue_arguments = {"x-queue-type": "classic"}
    outbox = prepare(server)
    is_reachable = Event()
    is_reachable.set()

    def make_link() -> Link:
        return server.make_link() if is_reachable.is_set() else MemoryLink(MemoryBroker(is_up=False))

    with publishing(make_link, outbox) as thread:
        put(outbox, range(1, 2001))
        wait_until(lambda: (outbox.published_seq(SESSION) or 0) >= 200)
        is_reachable.clear()
        server.go_down()
        wait_until(lambda: thread.state is PublisherState.DOWN)
        confirmed = outbox.published_seq(SESSION) or 0
        put(outbox, range(2001, 2501))
        server.come_up()
        before = server.read(QUEUE, confirmed) + server.read_all(QUEUE)
        is_reachable.set()
        wait_until(lambda: outbox.is_empty)

    received = before + server.read(QUEUE, 2500 - len(before)) + server.read_all(QUEUE)
    assert set(first_arrivals(before)) >= set(range(1, confirmed + 1))
    assert outbox.published_seq(SESSION) == 2500
    assert {each.headers["id"] for each in received} == {task_id_for(SESSION, seq) for seq in range(1, 2501)}
    assert first_arrivals(received) == list(range(1, 2501))


def test_a_frozen_broker_holds_the_watermark_until_it_answers_again(server: KombuSubject) -> None:
    outbox = prepare(server)
    assert server.broker is not None

    with publishing(server.make_link, outbox) as thread:
        put(outbox, range(1, 2))
        wait_until(lambda: outbox.is_empty)
        server.broker.freeze()
        try:
            put(outbox, range(2, 102))
            wait_until(lambda: outbox.in_flight > 0)
            while_frozen = outbox.published_seq(SESSION)
        finally:
            server.broker.thaw()
        wait_until(lambda: outbox.is_empty)

    assert while_frozen == 1
    assert thread.connects == 1
    assert first_arrivals(server.read(QUEUE, 101)) == list(range(1, 102))


@pytest.mark.rabbitmq
def test_a_blocking_broker_gets_nothing_more_until_it_unblocks_and_then_all(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str
) -> None:
    subject = KombuSubject(rabbitmq_url, rabbitmq, queue_type="quorum")
    outbox = prepare(subject)

    with publishing(subject.make_link, outbox) as thread:
        wait_until(lambda: thread.state is PublisherState.UP)
        rabbitmq.control("set_vm_memory_high_watermark", "absolute", "1")
        try:
            put(outbox, range(1, 11))
            wait_until(lambda: thread.state is PublisherState.BLOCKED)
            put(outbox, range(11, 5001))
            while_blocked = outbox.published_seq(SESSION)
            sent_while_blocked = outbox.in_flight
        finally:
            rabbitmq.control("set_vm_memory_high_watermark", "0.4")
        wait_until(lambda: outbox.is_empty)

    assert while_blocked == 0
    assert sent_while_blocked <= 10
    assert thread.connects == 1
    assert thread.state is PublisherState.STOPPED
    assert first_arrivals(subject.read(QUEUE, 5000)) == list(range(1, 5001))


@pytest.mark.rabbitmq
def test_a_full_queue_that_refuses_gets_its_messages_once_there_is_room(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str
) -> None:
    subject = KombuSubject(rabbitmq_url, rabbitmq)
    subject.queue_arguments = {"x-max-length": 5, "x-overflow": "reject-publish"}
    outbox = prepare(subject)
    received: list[Received] = []

    with publishing(subject.make_link, outbox) as thread:
        put(outbox, range(1, 9))
        wait_until(lambda: thread.last_error is not None)
        wait_until(lambda: outbox.published_seq(SESSION) == 5)
        received += subject.read(QUEUE, 5)
        wait_until(lambda: outbox.is_empty)

    received += subject.read_all(QUEUE)
    assert thread.connects == 1
    assert {each.headers["seq"] for each in received} == set(range(1, 9))


@pytest.mark.rabbitmq
def test_a_message_beyond_rabbitmqs_limit_holds_up_no_other(rabbitmq: PrivateRabbitMQ, rabbitmq_url: str) -> None:
    subject = KombuSubject(rabbitmq_url, rabbitmq)
    outbox = prepare(subject)
    rabbitmq.control("eval", "application:set_env(rabbit, max_message_size, 100000).")
    try:
        with publishing(subject.make_link, outbox):
            put(outbox, range(1, 4))
            outbox.put(make_envelope(4, raw=b'{"content":"%b"}' % (b"x" * 5_000_000)))
            put(outbox, range(5, 8))
            wait_until(lambda: outbox.is_empty)
    finally:
        rabbitmq.control("eval", "application:unset_env(rabbit, max_message_size).")

    assert outbox.counts().given_up == 1
    assert {each.headers["seq"] for each in subject.read_all(QUEUE)} == {1, 2, 3, 5, 6, 7}


@pytest.mark.rabbitmq
def test_a_wrong_password_is_told_without_showing_it(rabbitmq: PrivateRabbitMQ) -> None:
    subject = KombuSubject(rabbitmq.url.replace("guest:guest", "guest:hunter22"))

    with publishing(subject.make_link, Outbox()) as thread:
        wait_until(lambda: thread.state is PublisherState.DOWN)

    assert thread.last_error is not None
    assert "ACCESS_REFUSED" in thread.last_error
    assert "hunter22" not in thread.last_error


@pytest.mark.rabbitmq
def test_an_exchange_declared_otherwise_is_used_as_it_is(rabbitmq_url: str, rabbitmq: PrivateRabbitMQ) -> None:
    subject = KombuSubject(rabbitmq_url, rabbitmq)
    subject.exchange_arguments = {}
    subject.bind(QUEUE, "MESSAGE_CREATE.*")
    outbox = Outbox()

    with publishing(subject.make_link, outbox) as thread:
        outbox.put(make_envelope(1))
        outbox.put(make_envelope(2, event="TYPING_START"))
        wait_until(lambda: outbox.is_empty)

    assert [each.headers["seq"] for each in subject.read(QUEUE, 1)] == [1]
    assert thread.returned == 1
