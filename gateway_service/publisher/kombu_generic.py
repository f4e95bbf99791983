"""The link to every other broker that kombu knows: one publish at a time, with what durability it has."""

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from kombu.connection import Connection
from kombu.messaging import Producer
from kombu.transport import virtual

from gateway_service.contract import EVENTS_EXCHANGE, UNROUTED_QUEUE, routing_key
from gateway_service.errors import ConfigurationError
from gateway_service.publisher.borders import broker_errors_mapped, place_of, reason_of
from gateway_service.publisher.envelope import Envelope, Origin, headers_of
from gateway_service.publisher.synchronous import SynchronousLink
from gateway_service.topology import EVENTS, UNROUTED_MAX_LENGTH

CONNECT_TIMEOUT_S: Final = 5


class KombuLink(SynchronousLink):
    """A link through kombu's own producer."""

    def __init__(self, url: str, origin: Origin) -> None:
        """Prepare a link.

        Args:
            url: A Celery broker URL.
            origin: Who publishes.

        Raises:
            ConfigurationError: kombu has no such transport, or the library it needs is not installed.
        """
        super().__init__()
        self._origin = origin
        self._where = place_of(url)
        try:
            self._connection: Any = Connection(url, connect_timeout=CONNECT_TIMEOUT_S)
            _ = self._connection.transport
        except Exception as exc:  # without its library a transport raises ImportError, NameError, RuntimeError...
            scheme = url.partition("://")[0]
            raise ConfigurationError(f"broker_url: Celery cannot use {scheme}://: {reason_of(exc)}") from exc
        self._channel: Any = None
        self._producer: Any = None

    def connect(self) -> None:
        with self._errors_mapped(ValueError):  # a transport misses an option
            self._connection.connect()
            self._channel = self._connection.channel()
            EVENTS(self._channel).declare()
            self._channel.queue_declare(UNROUTED_QUEUE, durable=True, auto_delete=False)
            self._producer = Producer(self._channel, auto_declare=False)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._connection.release()

    def _publish(self, batch: Sequence[Envelope], confirmed: list[Envelope]) -> None:
        with self._errors_mapped():
            for envelope in batch:
                key = routing_key(envelope.event, envelope.guild_id)
                if self._is_routed(key):
                    self._publish_to(EVENTS_EXCHANGE, key, envelope)
                elif self._has_unrouted_room():
                    self._publish_to("", UNROUTED_QUEUE, envelope)
                else:
                    self._returned += 1
                confirmed.append(envelope)

    def _publish_to(self, exchange: str, key: str, envelope: Envelope) -> None:
        self._producer.publish(
            envelope.body,
            exchange=exchange,
            routing_key=key,
            headers=headers_of(envelope, self._origin),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            correlation_id=envelope.task_id,
        )

    def _is_routed(self, key: str) -> bool:
        """Tell whether some queue wants this key; a broker that routes by itself is not asked."""
        channel = self._channel
        if not isinstance(channel, virtual.Channel):
            return True
        table = channel.get_table(EVENTS_EXCHANGE)
        return bool(channel.typeof(EVENTS_EXCHANGE).lookup(table, EVENTS_EXCHANGE, key, None))

    def _has_unrouted_room(self) -> bool:
        return bool(self._channel.queue_declare(UNROUTED_QUEUE, passive=True).message_count < UNROUTED_MAX_LENGTH)

    def _errors_mapped(self, *more: type[Exception]) -> contextlib.AbstractContextManager[None]:
        transport = self._connection.transport
        return broker_errors_mapped(self._where, *transport.connection_errors, *transport.channel_errors, *more)
