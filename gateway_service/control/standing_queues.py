"""How much is in the queues that nobody consumes, as the broker tells."""

import time
from collections.abc import Mapping
from typing import Any, Final

from gateway_service.contract import DEAD_QUEUE, UNROUTED_QUEUE

STANDING_QUEUES: Final = (DEAD_QUEUE, UNROUTED_QUEUE)
_INTERVAL_S: Final = 10.0


class StandingQueues:
    """Asks the broker now and then. One thread asks, any may read."""

    def __init__(self) -> None:
        self.lengths: Mapping[str, int] = {}
        """Messages by queue; a queue that nobody has declared yet is left out."""
        self._due_at = 0.0

    def refresh_when_due(self, connection: Any) -> None:
        """Ask, unless that was done a moment ago; errors of the connection itself are the caller's."""
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + _INTERVAL_S
        self.lengths = {
            queue: length for queue in STANDING_QUEUES if (length := _length_of(queue, connection)) is not None
        }


def _length_of(queue: str, connection: Any) -> int | None:
    try:
        # A channel of its own, because RabbitMQ closes it when there is no such queue.
        with connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
    except connection.channel_errors:
        return None
