"""A broker in memory with a broker's moods, for tests."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway_service.errors import BrokerUnavailable, MessageTooLarge
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.ports import NO_RECEIPTS, Receipts


@dataclass(slots=True)
class MemoryBroker:
    """What the broker has, and how it behaves; shared by all links to it."""

    messages: list[Envelope] = field(default_factory=list)
    """Everything it accepted, in order, duplicates included."""
    is_up: bool = True
    blocked_reason: str | None = None
    refuses: int = 0
    """It refuses so many of the next messages."""
    max_body_bytes: int | None = None
    """A longer message ends the connection."""
    is_confirming: bool = True
    """False: it accepts messages and confirms them later."""


class MemoryLink:
    """A link to a :class:`MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, window: int = 100) -> None:
        self._broker = broker
        self._window = window
        self._accepted: deque[Envelope] = deque()
        self._refused: list[Envelope] = []

    def connect(self) -> None:
        self._check()

    @property
    def room(self) -> int:
        return 0 if self._broker.blocked_reason is not None else self._window - len(self._accepted)

    @property
    def blocked_reason(self) -> str | None:
        return self._broker.blocked_reason

    def send(self, batch: Sequence[Envelope]) -> None:
        for envelope in batch:
            self._check()
            max_bytes = self._broker.max_body_bytes
            if max_bytes is not None and envelope.body_bytes > max_bytes:
                raise MessageTooLarge("memory", "a message is too large", max_bytes)
            if self._broker.refuses:
                self._broker.refuses -= 1
                self._refused.append(envelope)
            else:
                self._broker.messages.append(envelope)
                self._accepted.append(envelope)

    def poll(self) -> Receipts:
        self._check()
        if not self._broker.is_confirming or not (self._accepted or self._refused):
            return NO_RECEIPTS
        receipts = Receipts(tuple(self._accepted), tuple(self._refused))
        self._accepted.clear()
        self._refused.clear()
        return receipts

    def fileno(self) -> int | None:
        return None

    @property
    def wants_write(self) -> bool:
        return False

    @property
    def returned(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing to close."""

    def _check(self) -> None:
        if not self._broker.is_up:
            raise BrokerUnavailable("memory", "it is down")
