"""The queues of a group, read as its workers would: what is in them has reached the broker for good."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from kombu import Connection

from gateway_service.worker.topology import event_queue


class Queues:
    """The queues of some events of the default group."""

    def __init__(self, broker_url: str, events: Iterable[str]) -> None:
        """Declare the queues, before anything is published."""
        self._url = broker_url
        self._queues = [event_queue(event) for event in events]
        self.ids: list[str] = []
        """The ids of all messages read so far, queue by queue in their order."""
        self.bodies: dict[str, Any] = {}
        """What the messages of GATEWAY_GAP hold, by id."""
        with Connection(broker_url) as connection:
            for queue in self._queues:
                queue(connection.default_channel).declare()

    @property
    def counts(self) -> Counter[str]:
        """How often each message was there."""
        return Counter(self.ids)

    def read(self) -> None:
        """Take every message that is there now. Blocks."""
        with Connection(self._url) as connection:
            for declared in self._queues:
                queue = declared(connection.default_channel)
                while (message := queue.get(no_ack=True, accept=["json"])) is not None:
                    self.ids.append(message.headers["id"])
                    if message.headers["event"] == "GATEWAY_GAP":
                        self.bodies[message.headers["id"]] = message.payload[0][0]
