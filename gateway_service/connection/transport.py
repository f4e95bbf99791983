"""One WebSocket to Discord's gateway; everything of the websockets library stays in this file."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from gateway_service.connection.frames import MAX_FRAME_BYTES, NOT_A_FRAME, WHOLE_BINARY, WHOLE_TEXT, FrameSplitter
from gateway_service.errors import ConnectFailed

CONNECT_TIMEOUT_S: Final = 10.0  # TCP, TLS and upgrade together (protocol C8)
CLOSE_TIMEOUT_S: Final = 5.0  # a half-open peer never answers a close frame (protocol H8)

# Waking up costs more than handling several dispatches. When reads follow each other this closely, the socket is left
# alone for as long, and what arrives meanwhile is read at once: under load a dispatch waits so much longer, an idle
# connection wakes up for every single frame as before.
READ_LINGER_S: Final = 0.005
# So much in one read means that more is waiting already.
_FULL_READ_BYTES: Final = 32 * 1024

OnMessage = Callable[[bytes], None]
OnLost = Callable[[int | None, str], None]

# The library logs headers and frames at debug level; the token is in one of them.
_silent = logging.getLogger("gateway_service.connection.websockets")
_silent.setLevel(logging.CRITICAL)


@cache
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()  # loading the trust store costs tens of milliseconds: once per process


class Transport:
    """An open connection. Messages and its end arrive by callback, both on the event loop, never after ``detach``."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    def begin(self, on_message: OnMessage, on_lost: OnLost) -> None:
        """Start the callbacks, first for what arrived since the connection was opened.

        Args:
            on_message: Gets each message, complete, as bytes.
            on_lost: Gets the peer's close code (None when the connection just ended) and reason, once.
        """
        self._connection.begin(on_message, on_lost)

    def send(self, data: bytes) -> None:
        """Hand one text message to the socket without waiting; payloads are small and few (protocol S1, S4)."""
        if self._connection.protocol.state is State.OPEN:
            self._connection.protocol.send_text(data)
            self._connection.send_data()

    def detach(self) -> None:
        """Stop the callbacks: what this socket still says belongs to the past."""
        self._connection.on_message = None
        self._connection.on_lost = None

    async def close(self, code: int) -> None:
        """Close with ``code``; a peer that does not answer is cut off after CLOSE_TIMEOUT_S."""
        self.detach()
        await self._connection.close(code)

    def abort(self) -> None:
        """Cut the TCP connection without a close frame."""
        self.detach()
        cast("asyncio.WriteTransport", self._connection.transport).abort()


async def open_transport(url: str) -> Transport:
    """Open a WebSocket to the gateway at ``url``; nothing is delivered before :meth:`Transport.begin`.

    Raises:
        ConnectFailed: A host name that cannot be one, DNS, TCP, TLS or time-out, or an HTTP status other than 101.
    """
    options: dict[str, Any] = {"ssl": _tls_context()} if url.startswith("wss:") else {}
    try:
        connection = await connect(
            url,
            compression=None,  # Discord has its own transport compression (protocol C6)
            max_size=MAX_FRAME_BYTES,  # READY, GUILD_CREATE and member chunks reach many megabytes (protocol C6)
            max_queue=None,  # messages never queue: they are handled as they arrive
            ping_interval=None,  # Discord's heartbeats decide about liveness
            open_timeout=CONNECT_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            logger=_silent,
            create_connection=_Connection,
            **options,
        )
    except InvalidStatus as exc:
        status = exc.response.status_code
        raise ConnectFailed(_without_query(url), f"HTTP status {status} instead of 101", status) from exc
    except (OSError, ValueError, WebSocketException, EOFError) as exc:
        raise ConnectFailed(_without_query(url), str(exc) or type(exc).__name__) from exc
    return Transport(cast("_Connection", connection))


def _without_query(url: str) -> str:
    return url.partition("?")[0]


class _Connection(ClientConnection):
    """The library's connection with a short cut: complete data messages go straight to a callback.

    Frames that carry one whole message are nearly all of the traffic. They are cut out by length and
    delivered from ``data_received``; the handshake and every other frame are fed, whole, to the library's
    own parser, which keeps all of RFC 6455: ping, close, fragments and every violation.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_message: OnMessage | None = None
        self.on_lost: OnLost | None = None
        self._response_head: bytearray | None = bytearray()
        self._splitter: FrameSplitter | None = FrameSplitter()
        self._early: list[bytes] | None = []
        self._fragments: list[bytes] = []
        self._read_at = 0.0

    def begin(self, on_message: OnMessage, on_lost: OnLost) -> None:
        self.on_message = on_message
        self.on_lost = on_lost
        early, self._early = self._early or [], None
        for message in early:
            self._deliver(message)
        self._tell_if_closed()

    def data_received(self, data: bytes) -> None:
        size = len(data)
        if self._response_head is not None:
            data = self._receive_head(self._response_head, data)
        if self._splitter is None:
            if data:
                super().data_received(data)
        else:
            for first, frame in self._splitter.feed(data):
                if first in (WHOLE_BINARY, WHOLE_TEXT) and not self._fragments:
                    self._deliver(frame)
                else:
                    self._feed_library(first, frame)
        if self.protocol.close_rcvd is not None or self.protocol.parser_exc is not None:
            self._tell_if_closed()
        elif size < _FULL_READ_BYTES:
            self._linger()

    def _linger(self) -> None:
        """Let a busy socket gather more before the next read."""
        now = self.loop.time()
        if now - self._read_at < 2 * READ_LINGER_S and not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_later(READ_LINGER_S, self._read_again)
        self._read_at = now

    def _read_again(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _receive_head(self, head: bytearray, data: bytes) -> bytes:
        """Feed the library the upgrade response and return what follows it."""
        head += data
        end = head.find(b"\r\n\r\n") + 4
        if end < 4:  # noqa: PLR2004 - the blank line is not here yet
            return b""
        self._response_head = None
        if not head.startswith(b"HTTP/1.1 101"):
            self._splitter = None  # a refusal, with a body of its own
            return bytes(head)
        super().data_received(bytes(head[:end]))
        return bytes(head[end:])

    def _feed_library(self, first: int, frame: bytes) -> None:
        if first == NOT_A_FRAME:
            self._splitter = None
        elif self._fragments and first in (WHOLE_BINARY, WHOLE_TEXT):
            # A data message inside a fragmented one: rebuild what the splitter stripped, the library refuses it.
            frame = bytes((first, 0))
        super().data_received(frame)

    def eof_received(self) -> None:
        if self._response_head:
            super().data_received(bytes(self._response_head))
            self._response_head = None
        super().eof_received()

    def process_event(self, event: Any) -> None:
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            super().process_event(event)
            return
        self._fragments.append(bytes(event.data))
        if event.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._deliver(message)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._tell_if_closed()

    def _deliver(self, message: bytes) -> None:
        if self.on_message is not None:
            self.on_message(message)
        elif self._early is not None:
            self._early.append(message)

    def _tell_if_closed(self) -> None:
        """Report the end as soon as it is certain: after a close frame the peer's TCP close may never come."""
        received, failure = self.protocol.close_rcvd, self.protocol.parser_exc
        if self.on_lost is None or (received is None and failure is None and self.protocol.state is not State.CLOSED):
            return
        on_lost, self.on_lost, self.on_message = self.on_lost, None, None
        if received is not None:
            on_lost(received.code, received.reason)
        else:
            on_lost(None, str(failure or ""))
