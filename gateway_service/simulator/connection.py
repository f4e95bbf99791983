"""One WebSocket of a client: reads into the conversation, writes its answers and the dispatches of the session."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Final, assert_never

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State

from gateway_service.protocol.constants import CloseCode
from gateway_service.simulator.conversation import Action, Conversation, Say
from gateway_service.simulator.faults import (
    Abort,
    CloseWith,
    ConnectionFault,
    EndStream,
    FillBuffer,
    Freeze,
    Garble,
    LimitBandwidth,
    StallClose,
)
from gateway_service.simulator.garbling import Message, garbled
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.sessions import Session
from gateway_service.simulator.wire import Compression, Encoder, PayloadZlibEncoder, encoder_for

# Dispatches written before other tasks get a turn; `send` does not yield while the socket has room.
_BURST: Final = 64
# On, and no time to send what waits: the kernel answers with RST instead of FIN.
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class GatewayConnection:
    """The shell around one :class:`Conversation`."""

    def __init__(
        self, hub: Hub, websocket: ServerConnection, *, number: int, host: str, compression: Compression
    ) -> None:
        self._hub = hub
        self._websocket = websocket
        self._number = number
        self._host = host
        self._compression = compression
        self._encoder: Encoder = encoder_for(compression, hub.config.compression_level)
        self._frame_bytes = hub.config.zlib_frame_bytes if compression is Compression.ZLIB_STREAM else None
        self._conversation = Conversation(hub, connection=number, host=host)
        self._session: Session | None = None
        self._pending: deque[Say | CloseWith] = deque()
        self._awake = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._ended = False
        """Whether nothing more may be written, although the socket may still look open."""
        self._closing = False
        """Whether the closing handshake is to begin, or has begun."""
        self._timer: asyncio.TimerHandle | None = None
        self._garbles: deque[Garble] = deque()
        self._bytes_per_s: int | None = None

    @property
    def session(self) -> Session | None:
        """The session that READY or RESUME gave this connection; None again when it ends."""
        return self._session

    async def serve(self) -> None:
        """Talk until the connection ends; the session is left to a RESUME."""
        self._queue(self._conversation.open(self._hub.clock()))
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(), name=f"simulator-connection-{self._number}-write")
                await self._read()
                writer.cancel()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._session is not None:
                self._session.detach(self, self._hub.clock())

    def inject(self, fault: ConnectionFault) -> None:
        """Let a fault strike now."""
        self._queue(self._conversation.suffer(fault, self._hub.clock()))

    def thaw(self) -> None:
        """End the faults that last."""
        self._bytes_per_s = None
        if not self._thawed.is_set():
            self._thawed.set()
            self._websocket.transport.resume_reading()
        self._conversation.excuse(self._hub.clock())
        self._set_timer()

    def wake(self) -> None:
        self._awake.set()

    def superseded(self) -> None:
        self._session = None
        self._conversation.session = None
        self._abort()

    def _abort(self) -> None:
        self._ended = True
        self.thaw()
        transport = self._websocket.transport
        if not transport.is_closing():
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()

    def _stall_close(self, code: int | None) -> None:
        transport = self._websocket.transport
        transport.pause_reading()
        if code is not None:
            self._ended = True
            transport.write(Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(mask=False))

    def _fill_buffer(self, for_s: float) -> None:
        self._thawed.clear()
        asyncio.get_running_loop().call_later(for_s, self._abort)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._websocket.recv(decode=False)
                self._queue(self._conversation.receive(message, self._hub.clock()))
        except ConnectionClosed as ended:
            self._conversation.lost(
                None if ended.rcvd is None else ended.rcvd.code,
                self._hub.clock(),
                client_closed_first=ended.rcvd_then_sent is not False,
            )

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._conversation.next_deadline
        if deadline is not None:
            wait_s = max(0.0, deadline - self._hub.clock())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._time_out)

    def _time_out(self) -> None:
        if self._thawed.is_set():
            self._queue(self._conversation.handle_timer(self._hub.clock()))

    def _queue(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Abort():
                    self._abort()
                case EndStream():
                    self._ended = True
                    self._websocket.transport.write_eof()
                case Freeze():
                    self._thawed.clear()
                    self._websocket.transport.pause_reading()
                case StallClose(code=code):
                    self._stall_close(code)
                case FillBuffer(for_s=for_s):
                    self._fill_buffer(for_s)
                case LimitBandwidth(bytes_per_s=bytes_per_s):
                    self._bytes_per_s = bytes_per_s
                case Garble():
                    self._garbles.append(action)
                case CloseWith():
                    self._closing = True
                    self._pending.append(action)
                case _:
                    # The writer's turn; those above must work while it waits for a client that does not read.
                    self._pending.append(action)
        # A connection that ends has no session, long before its socket is gone: the next one may be there by then.
        session = None if self._closing or self._ended else self._conversation.session
        if session is not self._session:
            if self._session is not None:
                self._session.detach(self, self._hub.clock())
            self._session = session
            if self._session is not None:
                self._session.attach(self)
        self._set_timer()
        self._awake.set()

    async def _write(self) -> None:
        try:
            while not self._ended:
                await self._awake.wait()
                self._awake.clear()
                await self._write_all()
        except ConnectionClosed:
            pass  # the reader learns it too, and tells the conversation

    async def _write_all(self) -> None:
        while not self._ended:
            await self._thawed.wait()
            session = self._session
            if self._pending:
                await self._perform(self._pending.popleft())
            elif session is not None and session.cursor < session.last_seq:
                await self._write_dispatches(session)
                await asyncio.sleep(0)
            else:
                return

    async def _write_dispatches(self, session: Session) -> None:
        """Write the next dispatches of the log; the first time that one is on a wire is counted."""
        websocket, hub = self._websocket, self._hub
        for _ in range(_BURST):
            seq = session.cursor + 1
            if seq > session.last_seq or self._session is not session or self._pending or not self._thawed.is_set():
                return
            if self._ended or websocket.state is not State.OPEN:
                self._ended = True
                return
            if seq <= session.floor:
                # The client read too slowly and what it missed is gone: only a new session helps it.
                self._queue([CloseWith(CloseCode.UNKNOWN_ERROR, "Too slow.")])
                return
            if (fault := self._conversation.midway(seq)) is not None:
                self._queue(self._conversation.suffer(fault, hub.clock()))
                return
            session.cursor = seq
            if seq in session.skipped:
                session.sent_seq = max(session.sent_seq, seq)
                continue
            if seq > session.sent_seq:
                session.sent_seq = seq
                hub.sessions.sent.add(session.entry(seq).event)
            hub.transcript.add_dispatch(hub.clock(), self._number, self._host, session, seq)
            if self._garbles:
                garble = self._garbles.popleft()
                await self._write_message(garbled(garble, session, seq, self._encoder))
                self._ended |= garble.how == "ended"
            else:
                await self._send(session.text(seq))

    async def _perform(self, action: Say | CloseWith) -> None:
        match action:
            case Say(text=text):
                await self._send(text)
            case CloseWith(code=code, reason=reason):
                self._ended = True
                await self._websocket.close(code, reason)
            case _:
                assert_never(action)

    async def _send(self, text: bytes) -> None:
        if self._conversation.compresses_payloads and self._compression is Compression.NONE:
            self._encoder = PayloadZlibEncoder()
            self._conversation.compresses_payloads = False
        await self._write_message((self._encoder.encode(text), self._encoder.is_text))

    async def _write_message(self, message: Message) -> None:
        data, is_text = message
        if self._bytes_per_s is not None:
            await asyncio.sleep(len(data) / self._bytes_per_s)
        if not isinstance(data, bytes) or self._frame_bytes is None:
            await self._websocket.send(data, text=is_text)
            return
        for start in range(0, len(data), self._frame_bytes):
            await self._websocket.send(data[start : start + self._frame_bytes], text=is_text)
