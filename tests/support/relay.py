"""A TCP relay in front of a server, and the troubles of the connections that pass through it."""

import asyncio
import socket
from contextlib import suppress
from typing import Self

_READ_BYTES = 65536


class Relay:
    """Listens on a socket of the caller's and carries what comes to a port of this host; a context manager."""

    def __init__(self, listening: socket.socket, port: int) -> None:
        """Prepare a relay.

        Args:
            listening: Bound by the caller, on whatever host; the relay closes it.
            port: Where the server listens, on loopback.
        """
        self._listening = listening
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._forgotten: list[asyncio.StreamWriter] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that the relay listens on."""
        return int(self._listening.getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, sock=self._listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.release()
        self.cut()
        for end in self._forgotten:
            end.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)

    def cut(self) -> int:
        """Reset every connection and return how many there were; new ones may come at once."""
        cut = len(self._writers) // 2
        for writer in tuple(self._writers):
            writer.transport.abort()
        return cut

    def vanish(self) -> None:
        """Reset the clients' ends alone: the server believes in them until it misses their heartbeats."""
        for serving in self._serving:
            serving.cancel()

    def hold(self) -> None:
        """Carry nothing from now on, as a frozen server: it still accepts connections and never answers."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer), name="relay")
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()  # as a host answers on whose port nobody listens
            return
        ends = (writer, onward)
        self._writers.update(ends)
        try:
            await asyncio.gather(self._carry(reader, onward), self._carry(there, writer))
            onward.transport.abort()
        except asyncio.CancelledError:
            self._forgotten.append(onward)
        finally:
            self._writers.difference_update(ends)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end; the peer learns of an orderly one."""
        with suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()
