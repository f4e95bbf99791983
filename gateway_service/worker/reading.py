"""Reading many frames from the broker's socket at once, where py-amqp reads seven bytes, some more, and one."""

import socket
import time
from collections.abc import Callable
from typing import Any, Final

from amqp.basic_message import Message
from amqp.exceptions import RecoverableConnectionError, UnexpectedFrame
from amqp.transport import SSLTransport
from celery import bootsteps
from celery.worker.consumer.tasks import Tasks

from gateway_service.worker.acks import Acks, acks_of
from gateway_service.worker.deliveries import (
    DELIVER,
    FRAME,
    FRAME_END,
    METHOD,
    Delivery,
    Incomplete,
    LeftToLibrary,
    read_delivery,
)
from gateway_service.worker.inline import runs_inline

# As much as a full prefetch of ordinary messages; a longer message takes several reads.
READ_BYTES: Final = 32 * 1024
# Heartbeats, timers, signals and remote control have their turn after this time, or after one slow handler.
BUDGET_S: Final = 0.05
_FRAMES_OF_A_MESSAGE: Final = 3  # py-amqp counts frames, and takes a connection without new ones for dead


class FrameReader:
    """Hands the frames of one connection to py-amqp.

    What is read and not yet handed over lies in py-amqp's own buffer, so that whoever waits for an answer
    inside of a handler finds it there.
    """

    def __init__(
        self, connection: Any, hub: Any, after_batch: Callable[[], None], *, budget_s: float = BUDGET_S
    ) -> None:
        """Make a reader.

        Args:
            connection: py-amqp's, over plain TCP.
            hub: kombu's event loop.
            after_batch: Called when what was read is handled, or the time for it is over.
            budget_s: How long messages may be handled before the loop has its turn.
        """
        self._connection = connection
        self._transport = connection.transport
        self._hub = hub
        self._after_batch = after_batch
        self._budget_s = budget_s

    def register(self) -> None:
        """Take the place of Celery's reader in the event loop."""
        self._hub.add_reader(self._connection.sock, self.on_readable)

    def on_readable(self) -> None:
        if not self._connection.connected:
            raise RecoverableConnectionError("Socket was disconnected")
        try:
            data = self._transport.sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
            if not data:
                raise ConnectionResetError("the broker closed the connection")
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._transport.connected = False
            raise
        self._transport._read_buffer += data  # noqa: SLF001 - see the class
        self._handle_frames()

    def _handle_frames(self) -> None:
        deadline = time.monotonic() + self._budget_s
        try:
            # A turn that was put off may come after the connection's end; the broker gives the rest out again.
            while self._connection.connected and self._handle_one():
                if time.monotonic() > deadline:
                    self._hub.call_soon(self._handle_frames)
                    # The loop would wait for its sockets first when it is already calling what was to be called soon.
                    self._hub._waker.wake()  # noqa: SLF001
                    return
        finally:
            self._after_batch()

    def _handle_one(self) -> bool:
        """Take the first message or other frame off the buffer, when it is there as a whole."""
        buffer = self._transport._read_buffer  # noqa: SLF001 - see the class
        if len(buffer) < FRAME.size:
            return False
        kind, channel, size = FRAME.unpack_from(buffer)
        end = FRAME.size + size
        if len(buffer) <= end:
            return False
        if buffer[end] != FRAME_END:
            raise UnexpectedFrame(f"frame end {buffer[end]:#04x} while expecting 0xce")
        payload = buffer[FRAME.size : end]
        if kind == METHOD and payload.startswith(DELIVER):
            try:
                self._deliver(read_delivery(buffer, READ_BYTES))
            except Incomplete:
                return False
            except LeftToLibrary:
                pass
            else:
                return True
        self._transport._read_buffer = buffer[end + 1 :]  # noqa: SLF001 - see the class
        self._connection.on_inbound_frame((kind, channel, payload))
        return True

    def _deliver(self, delivery: Delivery) -> None:
        """Hand a message over as py-amqp does: see its frame_handler and Channel.dispatch_method."""
        channel = self._connection.channels.get(delivery.channel)
        if channel is None or channel.is_closing:
            raise LeftToLibrary
        self._transport._read_buffer = self._transport._read_buffer[delivery.end :]  # noqa: SLF001 - see the class
        self._connection.bytes_recv += _FRAMES_OF_A_MESSAGE
        message = Message(delivery.body)
        message.properties = delivery.properties
        channel._on_basic_deliver(  # noqa: SLF001 - py-amqp's listener for this method
            delivery.consumer_tag,
            delivery.delivery_tag,
            delivery.redelivered,
            delivery.exchange,
            delivery.routing_key,
            message,
        )


class ReadInBatches(bootsteps.StartStopStep):
    """Reads and acknowledges many messages at once, where handlers run in the worker's own process."""

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._acks: Acks | None = None

    def start(self, consumer: Any) -> None:
        if not runs_inline(consumer):
            return
        self._acks = acks_of(consumer)
        connection = consumer.connection.connection
        if self._acks is not None and not isinstance(connection.transport, SSLTransport):
            FrameReader(connection, consumer.hub, self._acks.flush).register()

    def stop(self, _consumer: Any) -> None:
        """Acknowledge what is done while the connection still lives."""
        if self._acks is not None:
            self._acks.flush()
