"""The queues of a group, read as its workers would: what is in them has reached the broker for good."""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from kombu import Connection, Consumer, Message

from gateway_service.worker.topology import event_queue
from tests.support.connection import connection_to

_READ_S = 5.0
_IDLE_S = 0.3


class Queues:
    """The queues of some events of the default group."""

    def __init__(self, broker_url: str, events: Iterable[str]) -> None:
        """Declare the queues, before anything is published."""
        self._url = broker_url
        self._declared = [event_queue(event) for event in events]
        self.ids: list[str] = []
        """The ids of all messages read so far, those of each queue in its order."""
        self.bodies: dict[str, Any] = {}
        """What the messages of GATEWAY_GAP hold, by id."""
        self._connection: Connection | None = None
        with connection_to(broker_url) as connection:
            for queue in self._declared:
                queue(connection.default_channel).declare()

    @property
    def counts(self) -> Counter[str]:
        """How often each message was there."""
        return Counter(self.ids)

    def read(self) -> None:
        """Take messages until none is there, or for some seconds. Blocks."""
        if self._connection is None:
            self._connection = connection_to(self._url)
            # One consumer for good: what is on its way to one that ends comes to the next one behind newer messages.
            Consumer(self._connection, self._declared, no_ack=True, accept=["json"], on_message=self._take).consume()
        ends_at = time.monotonic() + _READ_S
        with suppress(TimeoutError):
            while time.monotonic() < ends_at:
                self._connection.drain_events(timeout=_IDLE_S)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _take(self, message: Message) -> None:
        self.ids.append(message.headers["id"])
        if message.headers["event"] == "GATEWAY_GAP":
            self.bodies[message.headers["id"]] = message.decode()[0][0]
