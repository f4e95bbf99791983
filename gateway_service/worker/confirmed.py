"""Publishing after which the broker has the message: what it replaces may be acknowledged."""

from collections.abc import Mapping
from typing import Any, Final

from kombu import pools

# A connection of the pool may have been reset while nobody used it; the first attempt finds that out.
_RETRY_POLICY: Final = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2}
# What belongs to the delivery and not to the message.
_PASSING_HEADERS: Final = frozenset({"redelivered"})


def confirming_producers(app: Any) -> Any:
    """Return the pool of producers whose publish returns when the broker has the message."""
    connection = app.connection_for_write()
    options = {**(connection.transport_options or {}), "confirm_publish": True}
    return pools.producers[connection.clone(transport_options=options)]


def publish_copy(app: Any, message: Any, headers: Mapping[str, Any], *, routing_key: str, exchange: str = "") -> None:
    """Publish the body of a message again; returns when the broker has it.

    Args:
        app: The Celery application.
        message: What the broker gave out.
        headers: Those of the copy.
        routing_key: Of the copy; without an exchange it is the name of a queue.
        exchange: Where it is published.
    """
    with confirming_producers(app).acquire(block=True) as producer:
        producer.publish(
            message.body,
            exchange=exchange,
            routing_key=routing_key,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers={name: value for name, value in headers.items() if name not in _PASSING_HEADERS},
            correlation_id=headers.get("id"),
            delivery_mode="persistent",
            retry=True,
            retry_policy=_RETRY_POLICY,
        )
