"""Acknowledging many messages of one channel by one write."""

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery.utils.log import get_logger

from gateway_service.worker.gather import Settle

_log = get_logger(__name__)

# Well below the prefetch count, so that the broker goes on sending while the rest is handled.
MAX_PENDING: Final = 8


class Acks:
    """Collects the delivery tags of handled messages and acknowledges them before the worker waits again.

    "All up to this one" is only said when nothing below is still being worked on. Delivery tags count from 1 on
    each channel, so that is known by counting: everything up to a tag is settled when as many messages are settled as
    the tag says, none of them beyond it. So every acknowledgement and rejection of the channel passes here.
    """

    def __init__(self, channel: Any, call_soon: Callable[..., Any], connection_errors: Any) -> None:
        """Take over the acknowledgements of a channel.

        Args:
            channel: py-amqp's; its consumers want acknowledgements.
            call_soon: Runs a function before the worker waits for its sockets the next time.
            connection_errors: Exceptions that mean a lost connection.
        """
        self._channel = channel
        self._call_soon = call_soon
        self._connection_errors = connection_errors
        self._pending: list[int] = []
        self._settled = 0
        self._highest = 0
        self._send_ack = channel.basic_ack
        self._send_reject = channel.basic_reject
        channel.basic_ack = self._ack_one
        channel.basic_reject = self._reject_one

    def add(self, delivery_tag: int) -> None:
        """Acknowledge a message soon: at once when many are pending, else before the worker waits again."""
        if not self._pending:
            self._call_soon(self.flush)
        self._pending.append(delivery_tag)
        if len(self._pending) >= MAX_PENDING:
            self.flush()

    def takes(self, message: Any) -> bool:
        """Tell whether a message came over this channel; each lane has one of its own."""
        return message.channel is self._channel

    def acknowledging(self, message: Any) -> Settle:
        """Return the acknowledge of one message, in the form that Celery hands to a strategy."""
        delivery_tag = message.delivery_tag
        return lambda _logger, _errors: self.add(delivery_tag)

    def flush(self) -> None:
        """Write what is pending. When the connection is lost the broker gives those messages out again."""
        tags, self._pending = self._pending, []
        if not tags:
            return
        tags.sort()
        try:
            if self._settled + len(tags) == tags[-1] and self._highest < tags[-1]:
                self._send_ack(tags[-1], multiple=True)
            else:
                for tag in tags:
                    self._send_ack(tag)
        except self._connection_errors as exc:
            _log.critical("Couldn't ack %d messages, reason: %r", len(tags), exc)
        self._count(tags[-1], len(tags))

    def _ack_one(self, delivery_tag: int, multiple: bool = False) -> Any:
        assert not multiple, "only flush() knows what else is settled"
        self._count(delivery_tag, 1)
        return self._send_ack(delivery_tag)

    def _reject_one(self, delivery_tag: int, requeue: bool) -> Any:
        self._count(delivery_tag, 1)
        return self._send_reject(delivery_tag, requeue)

    def _count(self, highest: int, messages: int) -> None:
        self._settled += messages
        self._highest = max(self._highest, highest)


_by_channel: Final[WeakKeyDictionary[Any, Acks]] = WeakKeyDictionary()


def acks_of(consumer: Any) -> Acks | None:
    """Return what acknowledges the messages of a Celery consumer, or None where only one by one is possible."""
    if consumer.hub is None or consumer.connection.transport.driver_type != "amqp":
        return None
    channel = consumer.connection.default_channel
    if channel not in _by_channel:
        _by_channel[channel] = Acks(channel, consumer.hub.call_soon, consumer.connection_errors)
    return _by_channel[channel]
