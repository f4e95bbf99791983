"""What links have in common whose publishing returns when the broker has the messages."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from gateway_service.errors import BrokerUnavailable
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.ports import NO_RECEIPTS, Receipts


class SynchronousLink(ABC):
    """A link without a window: what :meth:`send` published is confirmed by the next :meth:`poll`.

    When a batch fails half-way, what the broker had before is confirmed first and the failure raised after that.
    """

    room: int = 500
    blocked_reason: str | None = None
    wants_write: bool = False

    def __init__(self) -> None:
        self._confirmed: list[Envelope] = []
        self._failure: BrokerUnavailable | None = None
        self._returned = 0

    @property
    def returned(self) -> int:
        return self._returned

    def fileno(self) -> int | None:
        return None

    def send(self, batch: Sequence[Envelope]) -> None:
        try:
            self._publish(batch, self._confirmed)
        except BrokerUnavailable as exc:
            self._failure = exc

    def poll(self) -> Receipts:
        if self._confirmed:
            receipts = Receipts(self._confirmed)
            self._confirmed = []
            return receipts
        if self._failure is not None:
            raise self._failure
        return NO_RECEIPTS

    @abstractmethod
    def connect(self) -> None:
        """Connect and declare what is published to."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect; never raises."""

    @abstractmethod
    def _publish(self, batch: Sequence[Envelope], confirmed: list[Envelope]) -> None:
        """Publish in order and append to ``confirmed`` what the broker has, also when it fails."""
