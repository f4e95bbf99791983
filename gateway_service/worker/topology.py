"""Exchanges and queues as a worker declares them: one queue for each event that its handlers name."""

from collections.abc import Iterable
from typing import Any, Final

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker.consumer.connection import Connection
from kombu.entity import Exchange, Queue

from gateway_service.contract import (
    DEFAULT_GROUP,
    EVENT_QUEUE_ARGUMENTS,
    RETRIES_EXCHANGE,
    binding_key,
    event_token,
    queue_name,
)
from gateway_service.topology import DEAD, EVENTS, UNROUTED
from gateway_service.worker.capabilities import has_quorum_queues

_log = get_logger(__name__)

# It must be a topic exchange: Celery's delayed delivery, which carries a countdown on quorum queues, supports no
# direct one.
RETRIES: Final = Exchange(RETRIES_EXCHANGE, type="topic", durable=True)


class EventQueue(Queue):
    """A queue with two kinds of bindings: the dispatches it is for, and what its own handlers send to it again.

    Celery publishes a retry to the main exchange of a queue. If that were ``gateway.events``, every group
    would get the retries of all others.
    """

    # kombu copies a queue by this list.
    attrs: Any = (*Queue.attrs, ("events_keys", tuple))
    events_keys: tuple[str, ...]

    def _create_bindings(self, nowait: bool = False, channel: Any = None) -> None:
        super()._create_bindings(nowait=nowait, channel=channel)
        EVENTS(channel or self.channel).declare(nowait=nowait)
        for key in self.events_keys:
            self.bind_to(EVENTS, routing_key=key, nowait=nowait, channel=channel)


def event_queue(event: str, group: str = DEFAULT_GROUP, *, quorum: bool = True) -> EventQueue:
    """Return the queue that collects one event for one group.

    Args:
        event: Dispatch name.
        group: Every group gets its own copy of each dispatch.
        quorum: False for brokers that are not RabbitMQ.
    """
    token = event_token(event)
    return queue_of_tokens(queue_name(group, token), [token], quorum=quorum)


def queue_of_tokens(name: str, tokens: Iterable[str], *, quorum: bool) -> EventQueue:
    """Return the queue that collects some :func:`~gateway_service.contract.event_token`."""
    return EventQueue(
        name,
        RETRIES,
        routing_key=name,
        durable=True,
        events_keys=tuple(map(binding_key, tokens)),
        queue_arguments=dict(EVENT_QUEUE_ARGUMENTS) if quorum else None,
    )


class DeclareSharedQueues(bootsteps.StartStopStep):
    """Declare where unrouted and dead messages go, before anything is consumed and each time we reconnect."""

    requires = (Connection,)

    def start(self, consumer: Any) -> None:
        if not has_quorum_queues(consumer.connection):
            return
        for queue in (UNROUTED, DEAD):
            with consumer.connection.channel() as channel:
                try:
                    queue(channel).declare()
                except consumer.connection.channel_errors as exc:
                    # Somebody declared it with other arguments. It works as it is, and a worker is worth more.
                    _log.warning("%s is used as it is: %s", queue.name, exc)
