"""What the publisher thread needs from a broker, and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway_service.publisher.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Receipts:
    """What the broker said since the last time, each envelope once per publishing."""

    confirmed: Sequence[Envelope] = ()
    """The broker has them for good."""
    refused: Sequence[Envelope] = ()
    """The broker does not have them and the connection is well: publish them again."""

    def __bool__(self) -> bool:
        return bool(self.confirmed or self.refused)


NO_RECEIPTS: Final = Receipts()


class Link(Protocol):
    """One connection to one broker, used by one thread; after a failure it is closed and a new one is made.

    Every method may raise :class:`~gateway_service.errors.BrokerUnavailable`: the connection is lost then, and
    whatever was sent and not confirmed must be published again.
    """

    def connect(self) -> None:
        """Connect and declare what is published to."""

    @property
    def room(self) -> int:
        """How many envelopes :meth:`send` may take now; 0 while the window is full or the broker blocks us."""

    @property
    def blocked_reason(self) -> str | None:
        """Why the broker does not want messages now; None when it wants them."""

    def send(self, batch: Sequence[Envelope]) -> None:
        """Publish envelopes in order, at most :attr:`room` of them, without waiting for confirms."""

    def poll(self) -> Receipts:
        """Read what the broker said, write what could not be written before, keep the connection alive.

        Never waits. Must be called at least once per second.
        """

    def fileno(self) -> int | None:
        """A descriptor that is readable when :meth:`poll` has something to read; None when nothing comes by itself."""

    @property
    def wants_write(self) -> bool:
        """True when :meth:`poll` should also be called once :meth:`fileno` is writable."""

    @property
    def returned(self) -> int:
        """How many messages so far had no queue to go to."""

    def close(self) -> None:
        """Disconnect in an orderly way if that is still possible; never raises."""
