"""Builders for envelopes, and brokers as the publisher's contract suite sees them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from queue import Empty
from typing import Any, Protocol

from kombu import Exchange, Queue

from gateway_service.contract import (
    EVENTS_EXCHANGE,
    EVENTS_EXCHANGE_ARGUMENTS,
    UNROUTED_QUEUE,
    GuildKind,
    routing_key,
    session_hash,
)
from gateway_service.embedded import PrivateBroker
from gateway_service.publisher import Envelope, Link, Outbox, PublisherThread
from gateway_service.publisher.bindings import is_match
from gateway_service.publisher.envelope import Origin, headers_of
from gateway_service.publisher.links import make_link
from gateway_service.publisher.memory import MemoryBroker, MemoryLink
from tests.support.connection import connection_to

ORIGIN = Origin(bot_id="100", host="test-host")
SESSION = session_hash("a session")
DEADLINE_S = 120.0


def make_envelope(
    seq: int = 1,
    *,
    event: str = "MESSAGE_CREATE",
    session: str = SESSION,
    shard_id: int = 3,
    num_shards: int = 16,
    guild_id: int | None = 41771983423143937,
    received_at: float = 1_700_000_000.125,
    kind: GuildKind | None = None,
    raw: bytes = b'{"content":"hello"}',
) -> Envelope:
    return Envelope(
        event=event,
        seq=seq,
        session=session,
        shard_id=shard_id,
        num_shards=num_shards,
        guild_id=guild_id,
        received_at=received_at,
        kind=kind,
        raw=raw,
    )


@dataclass(frozen=True)
class Received:
    """A task message as a consumer sees it."""

    headers: dict[str, Any]
    properties: dict[str, Any]
    content_type: str
    content_encoding: str
    body: bytes


class Subject(Protocol):
    """One kind of broker under test."""

    def make_link(self) -> Link: ...

    def bind(self, queue: str, binding_key: str) -> None:
        """Let ``queue`` get what matches."""

    def read(self, queue: str, count: int) -> list[Received]:
        """Take the next messages from a queue."""

    def read_all(self, queue: str) -> list[Received]:
        """Take every message that is there."""

    def go_down(self) -> None:
        """End the broker without warning."""

    def come_up(self) -> None:
        """Start it again with what it had."""


class KombuSubject:
    """A broker that is consumed from through kombu, as Celery does it."""

    def __init__(self, url: str, broker: PrivateBroker | None = None, queue_type: str | None = None) -> None:
        self.url = url
        self.broker = broker
        self.queue_arguments: dict[str, Any] = {"x-queue-type": queue_type} if queue_type else {}
        self.exchange_arguments: dict[str, Any] = dict(EVENTS_EXCHANGE_ARGUMENTS)
        self.bound = set[str]()
        """The queues that were declared here."""

    def make_link(self) -> Link:
        return make_link(self.url, ORIGIN)

    def bind(self, queue: str, binding_key: str) -> None:
        self.bound.add(queue)
        exchange = Exchange(EVENTS_EXCHANGE, type="topic", durable=True, arguments=self.exchange_arguments)
        with closing(connection_to(self.url)) as connection:
            bound = Queue(queue, exchange, routing_key=binding_key, queue_arguments=self.queue_arguments)
            bound(connection.channel()).declare()

    def read(self, queue: str, count: int) -> list[Received]:
        received: list[Received] = []
        deadline = time.monotonic() + DEADLINE_S
        while len(received) < count:
            assert time.monotonic() < deadline, f"{queue} has {len(received)} of {count} messages"
            received += self._read(queue, count - len(received), timeout_s=1.0)
        return received

    def read_all(self, queue: str) -> list[Received]:
        return self._read(queue, None, timeout_s=0.5)

    def go_down(self) -> None:
        assert self.broker is not None
        self.broker.kill()

    def come_up(self) -> None:
        assert self.broker is not None
        self.broker.start()

    def _read(self, queue: str, count: int | None, timeout_s: float) -> list[Received]:
        received: list[Received] = []
        with closing(connection_to(self.url)) as connection:
            channel = connection.channel()
            source = connection.SimpleQueue(Queue(queue, channel=channel, no_declare=True))
            while count is None or len(received) < count:
                try:
                    message = source.get(timeout=timeout_s)
                except Empty:
                    break
                message.ack()
                body = message.body if isinstance(message.body, bytes) else message.body.encode()
                received.append(
                    Received(message.headers, message.properties, message.content_type, message.content_encoding, body)
                )
            source.close()
        return received


class MemorySubject:
    """The fake; it passes the same tests as the real ones, so other tests may trust it."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self._bindings: list[tuple[str, str]] = []
        self._read = dict[str, int]()

    def make_link(self) -> Link:
        return MemoryLink(self.broker)

    def bind(self, queue: str, binding_key: str) -> None:
        self._bindings.append((queue, binding_key))

    def read(self, queue: str, count: int) -> list[Received]:
        start = self._read.get(queue, 0)
        self._read[queue] = start + count
        return self._on(queue)[start : start + count]

    def read_all(self, queue: str) -> list[Received]:
        return self.read(queue, len(self.broker.messages))

    def go_down(self) -> None:
        self.broker.is_up = False

    def come_up(self) -> None:
        self.broker.is_up = True

    def _on(self, queue: str) -> list[Received]:
        return [self._received(each) for each in self.broker.messages if queue in self._queues_of(each)]

    def _queues_of(self, envelope: Envelope) -> set[str]:
        key = routing_key(envelope.event, envelope.guild_id)
        return {queue for queue, binding_key in self._bindings if is_match(binding_key, key)} or {UNROUTED_QUEUE}

    def _received(self, envelope: Envelope) -> Received:
        properties = {"correlation_id": envelope.task_id, "delivery_mode": 2}
        return Received(headers_of(envelope, ORIGIN), properties, "application/json", "utf-8", envelope.body)


@contextmanager
def publishing(link_factory: Callable[[], Link], outbox: Outbox) -> Iterator[PublisherThread]:
    """Run a publisher thread; it is given a second to finish at the end."""
    thread = PublisherThread(link_factory, outbox)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop(1.0)


def argument_of(received: Received) -> Any:
    """Return the one positional argument of a task message."""
    arguments, keywords, _ = json.loads(received.body)
    assert keywords == {}
    assert len(arguments) == 1
    return arguments[0]
