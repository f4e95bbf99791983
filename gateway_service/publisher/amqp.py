"""The AMQP link: frames of our own on a connection of py-amqp, with pipelined confirms.

py-amqp does what happens once: handshake, TLS, login, declarations, closing, and every frame that is not an ack.
The socket is then non-blocking, and this module writes publishes and reads confirms itself.
"""

import contextlib
import logging
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final, NoReturn

from amqp.exceptions import AccessRefused, PreconditionFailed
from kombu.connection import Connection

from gateway_service import amqps
from gateway_service.errors import BrokerUnavailable, MessageTooLarge
from gateway_service.publisher.borders import broker_errors_mapped, place_of, reason_of
from gateway_service.publisher.envelope import Envelope, Origin
from gateway_service.publisher.frames import (
    BASIC_ACK,
    BASIC_NACK,
    CHANNEL_CLOSE,
    HEARTBEAT_FRAME,
    METHOD_FRAME,
    FrameEncoder,
    cut_frames,
)
from gateway_service.publisher.ports import NO_RECEIPTS, Receipts
from gateway_service.telemetry import LogEvent, log_event, redact
from gateway_service.topology import DECLARED, EVENTS

_log: Final = logging.getLogger(__name__)

# Enough for a round trip to the disks of three nodes at full speed; what is in it is published again after a failure.
WINDOW: Final = 2000
HEARTBEAT_S: Final = 10
CONNECT_TIMEOUT_S: Final = 5
_CLOSE_TIMEOUT_S: Final = 1.0
_READ_BYTES: Final = 65536
_CONFIRM: Final = Struct(">QB")  # after the method's number: delivery tag, bits
_MULTIPLE: Final = 1
_CLOSE: Final = Struct(">HB")  # after the method's number: reply code, length of the reply text
# RabbitMQ's words, from rabbit_channel.erl: there is no other sign of this cause.
_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than (?:configured )?max size (\d+)").search

_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class AmqpLink:
    """A link to RabbitMQ or another AMQP 0-9-1 broker with publisher confirms."""

    def __init__(self, url: str, origin: Origin, window: int = WINDOW) -> None:
        self._urls = url.split(";")  # Celery's way to name several nodes
        self._origin = origin
        self._where = place_of(url)
        self._window = window
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._is_tls = False
        self._channel_id = 0
        self._encoder: FrameEncoder | None = None
        self._unconfirmed: dict[int, Envelope] = {}
        self._lowest_tag = 1  # no smaller one is unconfirmed
        self._next_tag = 1
        self._unsent = memoryview(b"")
        self._unread = b""
        self._blocked_reason: str | None = None
        self._returned = 0
        self._sent_at = self._read_at = 0.0

    def connect(self) -> None:
        # py-amqp raises AttributeError when the connection is lost at certain moments of the handshake.
        # See kombu: transport/pyamqp.py, Transport.connection_errors.
        with broker_errors_mapped(self._where, AttributeError):
            self._connection = self._open()
            self._declare()
            channel = self._connection.channel()
            channel.events["basic_return"].add(self._on_return)
            channel.confirm_select()
            self._channel_id = channel.channel_id
            self._encoder = FrameEncoder(self._origin, channel.channel_id, self._connection.frame_max)
            self._socket = self._connection.sock
            self._socket.setblocking(False)
            self._is_tls = isinstance(self._socket, ssl.SSLSocket)
        self._sent_at = self._read_at = time.monotonic()

    @property
    def room(self) -> int:
        if self._blocked_reason is not None or self._unsent:
            return 0
        return self._window - len(self._unconfirmed)

    @property
    def blocked_reason(self) -> str | None:
        return self._blocked_reason

    @property
    def wants_write(self) -> bool:
        return bool(self._unsent)

    @property
    def returned(self) -> int:
        return self._returned

    def fileno(self) -> int | None:
        return self._socket.fileno() if self._socket is not None else None

    def send(self, batch: Sequence[Envelope]) -> None:
        assert self._encoder is not None, "not connected"
        encode = self._encoder.encode
        unconfirmed = self._unconfirmed
        tag = self._next_tag
        parts: list[bytes] = []
        for envelope in batch:
            encode(envelope, parts)
            unconfirmed[tag] = envelope
            tag += 1
        self._next_tag = tag
        self._unsent = memoryview(b"".join(parts))
        self._write()

    def poll(self) -> Receipts:
        self._write()
        receipts = self._read()
        self._keep_alive(time.monotonic())
        return receipts

    def close(self) -> None:
        connection, self._connection, self._socket = self._connection, None, None
        if connection is None:
            return
        # Orderly only where no half frame is on the wire; the broker would not understand the rest.
        with contextlib.suppress(Exception):
            if not self._unsent and connection.connected:
                connection.sock.settimeout(_CLOSE_TIMEOUT_S)
                connection.close()
        with contextlib.suppress(Exception):
            connection.collect()

    def _open(self) -> Any:
        """Return a py-amqp connection to the first node that answers."""
        amqps.install()
        refusals: list[str] = []
        for url in self._urls:
            client = Connection(
                url,
                heartbeat=HEARTBEAT_S,
                connect_timeout=CONNECT_TIMEOUT_S,
                transport_options=self._transport_options(),
            )
            try:
                return client.transport.establish_connection()
            except client.connection_errors as exc:
                refusals.append(reason_of(exc))
        raise BrokerUnavailable(self._where, "; ".join(refusals))

    def _transport_options(self) -> Mapping[str, Any]:
        options: dict[str, Any] = {
            "on_blocked": self._on_blocked,
            "on_unblocked": self._on_unblocked,
            "client_properties": {"connection_name": f"gateway-service publisher on {self._origin.host}"},
        }
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # py-amqp's default of one second makes the kernel cut the connection whenever the broker lets us wait
            # a little; heartbeats find a dead peer just as well.
            options["socket_settings"] = {socket.TCP_USER_TIMEOUT: 2 * HEARTBEAT_S * 1000}
        return options

    def _declare(self) -> None:
        for entity in DECLARED:
            channel = self._connection.channel()
            try:
                entity(channel).declare()
            except (PreconditionFailed, AccessRefused) as exc:
                # An operator declared it in another way, or allows us to publish only: then theirs is the right one.
                log_event(_log, logging.WARNING, LogEvent.BROKER_TOPOLOGY, name=entity.name, reason=reason_of(exc))
                if entity is EVENTS:
                    with contextlib.closing(self._connection.channel()) as passive:
                        entity(passive).declare(passive=True)
            else:
                channel.close()

    def _write(self) -> None:
        """Write as much as the kernel takes now."""
        if not self._unsent:
            return
        assert self._socket is not None, "not connected"
        with broker_errors_mapped(self._where):
            try:
                while self._unsent:
                    self._unsent = self._unsent[self._socket.send(self._unsent) :]
                    self._sent_at = time.monotonic()
            except _WOULD_BLOCK:
                pass

    def _read(self) -> Receipts:
        assert self._socket is not None, "not connected"
        received = self._unread
        with broker_errors_mapped(self._where):
            try:
                while True:
                    data = self._socket.recv(_READ_BYTES)
                    if not data:
                        raise BrokerUnavailable(self._where, "it closed the connection")
                    received += data
                    if len(data) < _READ_BYTES and not self._is_tls:
                        break  # nothing more; TLS hands out its records one by one, so there it proves nothing
            except _WOULD_BLOCK:
                pass
        if len(received) == len(self._unread):
            return NO_RECEIPTS
        self._read_at = time.monotonic()
        frames, self._unread = cut_frames(received)
        confirmed: list[Envelope] = []
        refused: list[Envelope] = []
        for kind, channel, payload in frames:
            if kind == METHOD_FRAME and channel == self._channel_id:
                method = payload[:4]
                if method == BASIC_ACK:
                    self._settle(payload, confirmed)
                    continue
                if method == BASIC_NACK:
                    self._settle(payload, refused)
                    continue
                if method == CHANNEL_CLOSE:
                    self._raise_closed(payload)
            with broker_errors_mapped(self._where):
                self._connection.on_inbound_frame((kind, channel, payload))
        return Receipts(confirmed, refused)

    def _raise_closed(self, payload: bytes) -> NoReturn:
        """Tell why the broker closed our channel; py-amqp would try to answer, and fail where the socket is full."""
        code, size = _CLOSE.unpack_from(payload, 4)
        text = redact(payload[4 + _CLOSE.size :][:size].decode(errors="replace"))
        reason = f"({code}) {text}"
        if (too_large := _TOO_LARGE(text)) is not None:
            raise MessageTooLarge(self._where, reason, int(too_large[1]))
        raise BrokerUnavailable(self._where, reason)

    def _settle(self, payload: bytes, settled: list[Envelope]) -> None:
        """Move what one ack or nack is about from the window to ``settled``."""
        tag, bits = _CONFIRM.unpack_from(payload, 4)
        unconfirmed = self._unconfirmed
        if bits & _MULTIPLE:
            every = (unconfirmed.pop(each, None) for each in range(self._lowest_tag, tag + 1))
            settled.extend(envelope for envelope in every if envelope is not None)
            self._lowest_tag = max(self._lowest_tag, tag + 1)
        elif (envelope := unconfirmed.pop(tag, None)) is not None:
            settled.append(envelope)
        while self._lowest_tag < self._next_tag and self._lowest_tag not in unconfirmed:
            self._lowest_tag += 1

    def _keep_alive(self, now: float) -> None:
        """Send heartbeats when nothing else was sent, and miss those of the broker. See AMQP 0-9-1: 4.2.7."""
        interval_s = self._connection.heartbeat
        if not interval_s:
            return
        if now - self._read_at > 2 * interval_s:
            raise BrokerUnavailable(self._where, f"silent for {now - self._read_at:.0f} s")
        if now - self._sent_at > interval_s / 2 and not self._unsent:
            self._unsent = memoryview(HEARTBEAT_FRAME)
            self._write()

    def _on_blocked(self, reason: str) -> None:  # noqa: ARG002 - py-amqp passes a constant instead of the broker's
        self._blocked_reason = "the broker has a memory or disk alarm"

    def _on_unblocked(self) -> None:
        self._blocked_reason = None

    def _on_return(self, *_: object) -> None:
        # The broker confirms it all the same, so it is counted and let go: the exchange has no alternate one.
        self._returned += 1
