"""The exchanges and queues that gateway and workers both declare. Each subscriber declares its own queues beside."""

from typing import Any, Final

from kombu.entity import Exchange, Queue

from gateway_service.contract import (
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    DEAD_QUEUE_ARGUMENTS,
    EVENTS_EXCHANGE,
    EVENTS_EXCHANGE_ARGUMENTS,
    UNROUTED_EXCHANGE,
    UNROUTED_QUEUE,
    UNROUTED_QUEUE_ARGUMENTS,
)

EVENTS: Final = Exchange(EVENTS_EXCHANGE, type="topic", durable=True, arguments=dict(EVENTS_EXCHANGE_ARGUMENTS))
UNROUTED: Final = Queue(
    UNROUTED_QUEUE,
    Exchange(UNROUTED_EXCHANGE, type="fanout", durable=True),
    queue_arguments=dict(UNROUTED_QUEUE_ARGUMENTS),
)
DEAD: Final = Queue(
    DEAD_QUEUE,
    Exchange(DEAD_EXCHANGE, type="fanout", durable=True),
    queue_arguments=dict(DEAD_QUEUE_ARGUMENTS),
)
UNROUTED_MAX_LENGTH: Final[int] = UNROUTED_QUEUE_ARGUMENTS["x-max-length"]

# What a publisher declares, the alternate exchange first: until it has its queue, what nobody subscribed to is lost.
DECLARED: Final[tuple[Any, ...]] = (UNROUTED.exchange, UNROUTED, DEAD.exchange, DEAD, EVENTS)
