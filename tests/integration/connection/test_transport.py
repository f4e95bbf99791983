"""The transport against a raw TCP server, so that every byte on the wire is the test's own."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.frames import Close, Frame, Opcode

from gateway_service.connection.transport import Transport, open_transport
from gateway_service.errors import ConnectFailed

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
DEADLINE_S = 60


def upgrade_response(request: bytes) -> bytes:
    key = next(line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def frame(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=False)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.create_task(handle(reader, writer)))

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/?v=10"
        await asyncio.gather(*handlers)
        await asyncio.sleep(0)


class Received:
    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost: asyncio.Future[tuple[int | None, str]] = asyncio.get_running_loop().create_future()

    def begin(self, transport: Transport) -> None:
        transport.begin(self.messages.put_nowait, lambda code, reason: self.lost.set_result((code, reason)))

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.messages.get(), DEADLINE_S)


async def upgrade_then(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(upgrade_response(await reader.readuntil(b"\r\n\r\n")) + data)


async def received_from(data: bytes, count: int) -> tuple[list[bytes], Received]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade_then(reader, writer, data)
        await reader.read()

    received = Received()
    async with server(serve) as url:
        transport = await open_transport(url)
        received.begin(transport)
        messages = [await received.next() for _ in range(count)]
        transport.abort()
    return messages, received


async def test_a_message_in_the_segment_of_the_upgrade_arrives() -> None:
    messages, _ = await received_from(frame(Opcode.BINARY, b"hello") + frame(Opcode.TEXT, b"{}"), 2)

    assert messages == [b"hello", b"{}"]


async def test_a_message_split_over_frames_arrives_whole_and_in_order() -> None:
    parts = frame(Opcode.BINARY, b"a", fin=False) + frame(Opcode.PING, b"") + frame(Opcode.CONT, b"b")

    messages, _ = await received_from(frame(Opcode.BINARY, b"1") + parts + frame(Opcode.BINARY, b"2"), 3)

    assert messages == [b"1", b"ab", b"2"]


async def test_a_message_of_many_megabytes_arrives() -> None:
    big = b"z" * 20_000_000

    messages, _ = await received_from(frame(Opcode.BINARY, big) + frame(Opcode.BINARY, b"next"), 2)

    assert messages == [big, b"next"]


async def test_a_ping_is_answered() -> None:
    pong: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade_then(reader, writer, frame(Opcode.PING, b"data"))
        pong.set_result(await reader.readexactly(2))

    async with server(serve) as url:
        transport = await open_transport(url)
        Received().begin(transport)
        assert (await asyncio.wait_for(pong, DEADLINE_S))[0] & 0x0F == Opcode.PONG
        transport.abort()


async def test_the_close_code_is_told_although_the_server_never_closes_tcp() -> None:
    data = frame(Opcode.CLOSE, Close(4009, "session timed out").serialize())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade_then(reader, writer, data)
        await reader.read()

    async with server(serve) as url:
        received = Received()
        transport = await open_transport(url)
        received.begin(transport)
        assert await asyncio.wait_for(received.lost, DEADLINE_S) == (4009, "session timed out")
        transport.abort()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="fin without a close frame"),
        pytest.param(b"\x82\x81\0\0\0\0z", id="masked frame"),
        pytest.param(b"\xc2\x00", id="reserved bit"),
        pytest.param(b"\x82\x7f" + b"\x7f" * 8, id="absurd length"),
        pytest.param(frame(Opcode.BINARY, b"a", fin=False) + frame(Opcode.BINARY, b"b"), id="message inside a message"),
        pytest.param(frame(Opcode.CONT, b"b"), id="continuation of nothing"),
    ],
)
async def test_a_broken_stream_is_told_as_a_loss_without_code(data: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade_then(reader, writer, data)
        if data:
            await reader.read()
        else:
            writer.write_eof()

    async with server(serve) as url:
        received = Received()
        transport = await open_transport(url)
        received.begin(transport)
        code, _ = await asyncio.wait_for(received.lost, DEADLINE_S)
        assert code is None
        transport.abort()


async def test_a_refused_upgrade_names_the_status_and_not_the_query() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with server(serve) as url:
        with pytest.raises(ConnectFailed, match="HTTP status 503") as caught:
            await open_transport(url)
    assert caught.value.status == 503
    assert "v=10" not in str(caught.value)


@pytest.mark.parametrize("url", ["ws://a..b/", f"ws://{'a' * 64}.example/", "ws://127.0.0.1:99999/"])
async def test_an_address_that_cannot_be_one_fails_like_any_other(url: str) -> None:
    with pytest.raises(ConnectFailed, match="cannot connect"):
        await open_transport(url)


async def test_a_refused_connection_fails_clearly() -> None:
    async with server(lambda _reader, _writer: asyncio.sleep(0)) as url:
        pass

    with pytest.raises(ConnectFailed, match="cannot connect"):
        await open_transport(url)
