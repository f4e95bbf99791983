"""What lies in ``gateway.dead``, and the two ways out of it: back to the queue it came from, or away.

A message leaves only when what follows from it is done: it is published again and confirmed first, so that a crash in
between leaves it in both places and in none lost.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Any, Final, Protocol

from kombu.connection import Connection
from kombu.exceptions import InconsistencyError, OperationalError
from kombu.messaging import Producer

from gateway_service import amqps
from gateway_service.contract import DEAD_QUEUE, RETRIES_EXCHANGE
from gateway_service.errors import BrokerUnavailable, ConfigurationError
from gateway_service.settings.urls import masked
from gateway_service.worker.capabilities import has_quorum_queues
from gateway_service.worker.dead import DIED_AT_HEADER, REASON_HEADER
from gateway_service.worker.handlers import QUEUE_HEADER, REQUEUES_HEADER
from gateway_service.worker.redeliveries import GIVEN_OUT_TOO_OFTEN

_CONNECT_TIMEOUT_S: Final = 5.0
_RABBITMQS_REASONS: Final = {
    "delivery_limit": GIVEN_OUT_TOO_OFTEN,
    "expired": "it waited longer than its queue keeps messages",
    "maxlen": "its queue was full",
    "rejected": "rejected, and its worker could not write why; its log says it",
}
# What a death leaves in the headers, and a new life begins without.
_MARKS: Final = ("x-", REASON_HEADER, DIED_AT_HEADER, "redelivered", "eta", "timelimit")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of ``gateway.dead``."""

    headers: Mapping[str, Any]
    body: bytes = field(repr=False)
    content_type: str
    content_encoding: str
    remove: Callable[[], object] = field(repr=False, compare=False)
    """Takes it off the queue for good."""

    @property
    def id(self) -> str:
        return str(self.headers.get("id"))

    @property
    def task(self) -> str:
        """A handler's task, or ``gateway.<EVENT>`` when no handler got to see it."""
        return str(self.headers.get("task"))

    @property
    def event(self) -> str:
        return str(self.headers.get("event"))

    @property
    def reason(self) -> str:
        """What the worker wrote, or our words for what RabbitMQ buried by itself; its own are in the headers."""
        if REASON_HEADER in self.headers:
            return str(self.headers[REASON_HEADER])
        rabbitmqs = str(self.headers.get("x-first-death-reason") or "unknown")
        return _RABBITMQS_REASONS.get(rabbitmqs, rabbitmqs)

    @property
    def queue(self) -> str | None:
        """The queue it came from."""
        queue = self.headers.get(QUEUE_HEADER) or self.headers.get("x-first-death-queue")
        return None if queue is None else str(queue)

    @property
    def group(self) -> str | None:
        return self.queue and self.queue.rpartition(".")[0]

    @property
    def died_at(self) -> float | None:
        """UNIX seconds."""
        if DIED_AT_HEADER in self.headers:
            return float(self.headers[DIED_AT_HEADER])
        deaths = self.headers.get("x-death") or [{}]
        return deaths[-1]["time"].timestamp() if "time" in deaths[-1] else None

    def requeued_headers(self) -> dict[str, Any]:
        """Return the headers of its next life: retries count from zero, and ``once=True`` takes it for a new run."""
        kept = {name: value for name, value in self.headers.items() if not name.startswith(_MARKS)}
        return {**kept, "retries": 0, REQUEUES_HEADER: self.headers.get(REQUEUES_HEADER, 0) + 1}


class DeadLetters(Protocol):
    """``gateway.dead`` while it is looked into."""

    def __iter__(self) -> Iterator[DeadLetter]:
        """Go through those that are there now, the oldest first."""

    def requeue(self, letter: DeadLetter) -> bool:
        """Move a message back to the queue it came from; False when there is no such queue any more."""


@contextmanager
def open_dead_letters(url: str) -> Iterator[DeadLetters]:
    """Look into ``gateway.dead`` of a broker; what is neither removed nor requeued stays as it is.

    Raises:
        BrokerUnavailable: It cannot be reached or refused us.
        ConfigurationError: It is neither RabbitMQ nor Redis.
    """
    amqps.install()
    connection = Connection(
        url, connect_timeout=_CONNECT_TIMEOUT_S, heartbeat=0, transport_options={"confirm_publish": True}
    )
    try:
        with connection:
            if has_quorum_queues(connection):
                yield _InRabbitMQ(connection)
            elif connection.transport.driver_type == "redis":
                yield _InRedis(connection)
            else:
                raise ConfigurationError(
                    f"broker_url: what is dead can be looked into on RabbitMQ and Redis, not on "
                    f"{connection.transport.driver_type}"
                )
    except (*connection.connection_errors, *connection.channel_errors, OperationalError) as exc:
        raise BrokerUnavailable(masked(url), str(exc) or type(exc).__name__) from exc


class _InRabbitMQ:
    """Messages are fetched without an acknowledgement; those that get none go back when the channel closes."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self._known: dict[str, bool] = {}

    def __iter__(self) -> Iterator[DeadLetter]:
        if not self._exists(DEAD_QUEUE):
            return
        # What is requeued may die again at once, so only those that are there now are gone through.
        count = self._channel.queue_declare(DEAD_QUEUE, passive=True).message_count
        fetched = (self._channel.basic_get(DEAD_QUEUE) for _ in range(count))
        for got in takewhile(lambda message: message is not None, fetched):
            message = self._channel.message_to_python(got)
            yield DeadLetter(
                message.headers, _as_bytes(message.body), message.content_type, message.content_encoding, message.ack
            )

    def requeue(self, letter: DeadLetter) -> bool:
        if letter.queue is None or not self._exists(letter.queue):
            return False
        _publish(self._channel, letter)
        letter.remove()
        return True

    def _exists(self, queue: str) -> bool:
        if queue not in self._known:
            # The answer "no" closes the channel, and ours holds the messages.
            channel = self._connection.channel()
            try:
                channel.queue_declare(queue, passive=True)
                channel.close()
                self._known[queue] = True
            except self._connection.channel_errors:
                self._known[queue] = False
        return self._known[queue]


class _InRedis:
    """The list is read and stays as it is; a message that leaves is removed by its value."""

    def __init__(self, connection: Any) -> None:
        self._channel = connection.channel()

    def __iter__(self) -> Iterator[DeadLetter]:
        for item in reversed(self._channel.client.lrange(DEAD_QUEUE, 0, -1)):
            message = self._channel.message_to_python(json.loads(item))
            yield DeadLetter(
                message.headers,
                _as_bytes(message.body),
                message.content_type,
                message.content_encoding,
                partial(self._channel.client.lrem, DEAD_QUEUE, -1, item),
            )

    def requeue(self, letter: DeadLetter) -> bool:
        try:
            queues = {queue for _, _, queue in self._channel.get_table(RETRIES_EXCHANGE)}
        except InconsistencyError:  # no queue was ever bound
            queues = set()
        if letter.queue not in queues:
            return False
        _publish(self._channel, letter)
        letter.remove()
        return True


def _publish(channel: Any, letter: DeadLetter) -> None:
    """Put a message into its queue, past every exchange: no other group gets it."""
    Producer(channel).publish(
        letter.body,
        exchange="",
        routing_key=letter.queue,
        content_type=letter.content_type,
        content_encoding=letter.content_encoding,
        headers=letter.requeued_headers(),
        correlation_id=letter.id,
        delivery_mode="persistent",
    )


def _as_bytes(body: bytes | memoryview | str) -> bytes:
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)


def matching(letters: Iterable[DeadLetter], wanted: Mapping[str, str | None]) -> Iterator[DeadLetter]:
    """Keep the letters whose named attributes contain the wanted texts, in any case."""
    for letter in letters:
        if all(text.lower() in str(getattr(letter, name)).lower() for name, text in wanted.items() if text):
            yield letter
