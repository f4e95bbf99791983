"""What nobody subscribed to, by the name of its dispatch: read from ``gateway.unrouted``, which stays as it is."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from kombu.connection import Connection

from gateway_service import amqps
from gateway_service.contract import UNROUTED_QUEUE

_TIMEOUT_S: Final = 5
# The oldest ones tell what kinds there are; reading all ten thousand takes seconds.
MAX_READ: Final = 1000


def unrouted_now(broker_url: str) -> Mapping[str, int]:
    """Connect to a broker and return how many messages of each dispatch name are there; see :func:`count_unrouted`.

    Raises:
        OSError: It does not answer.
        kombu.exceptions.OperationalError: The same.
    """
    amqps.install()
    silence = "socket_timeout" if broker_url.startswith(("redis", "sentinel")) else "read_timeout"
    with Connection(broker_url, connect_timeout=_TIMEOUT_S, transport_options={silence: _TIMEOUT_S}) as connection:
        return count_unrouted(connection)


def count_unrouted(connection: Any, max_read: int = MAX_READ) -> Mapping[str, int]:
    """Return how many messages of each dispatch name nobody subscribed to, the most frequent first.

    Args:
        connection: kombu's.
        max_read: With more messages than that, what the oldest ones are says what all of them are.
    """
    read = _READ_BY_DRIVER.get(connection.transport.driver_type)
    total, events = read(connection, max_read) if read else (0, [])
    seen = Counter(events)
    return {event: round(count * total / seen.total()) for event, count in seen.most_common()}


def _read_amqp(connection: Any, max_read: int) -> tuple[int, list[str]]:
    # They are given back, in their order, when the channel closes.
    with connection.channel() as channel:
        try:
            total = channel.queue_declare(UNROUTED_QUEUE, passive=True).message_count
        except connection.channel_errors:
            return 0, []
        got: Iterable[Any] = iter(lambda: channel.basic_get(UNROUTED_QUEUE), None)
        return total, [str(message.headers.get("event")) for message in islice(got, max_read)]


def _read_list(connection: Any, max_read: int) -> tuple[int, list[str]]:
    client = connection.default_channel.client
    items = client.lrange(UNROUTED_QUEUE, -max_read, -1)
    return client.llen(UNROUTED_QUEUE), [str(json.loads(item)["headers"].get("event")) for item in items]


_READ_BY_DRIVER: Final = {"amqp": _read_amqp, "redis": _read_list}
