"""What a worker's broker can do, and the refusal of what was asked for and it cannot."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from gateway_service.errors import ConfigurationError


class Need(Enum):
    """Something that RabbitMQ has and other brokers lack; the value continues "... needs"."""

    SINGLE_ACTIVE_CONSUMER = "queues with a single active consumer"
    QUORUM = "quorum queues"
    DELIVERY_LIMIT = "queues with a delivery limit"


def has_quorum_queues(connection: Any) -> bool:
    """Tell whether the broker behind a kombu connection is RabbitMQ: the others have no such queues."""
    return bool(connection.transport.driver_type == "amqp")


def needs_of_queue(name: str, arguments: Mapping[str, Any] | None) -> list[tuple[str, Need]]:
    """Return what the arguments of a user's own queue ask of the broker; one that ignores them would not say so."""
    given = arguments or {}
    asked = {
        Need.QUORUM: given.get("x-queue-type") == "quorum",
        Need.SINGLE_ACTIVE_CONSUMER: given.get("x-single-active-consumer"),
        Need.DELIVERY_LIMIT: "x-delivery-limit" in given,
    }
    return [(f"the queue {name!r}", need) for need, is_asked in asked.items() if is_asked]


def check_needs(connection: Any, needs: Iterable[tuple[str, Need]]) -> None:
    """Refuse to start where the broker lacks something that was asked for.

    Args:
        connection: A kombu connection; it need not be open.
        needs: Pairs of who needs something, as a sentence begins (``"the ordered handler 'a.b'"``), and what.

    Raises:
        ConfigurationError: With a sentence for each that cannot be.
    """
    if has_quorum_queues(connection):
        return
    broker = connection.transport.driver_name
    if faults := [f"{who} needs {need.value}, which {broker} does not have; use RabbitMQ" for who, need in needs]:
        raise ConfigurationError(*faults)
