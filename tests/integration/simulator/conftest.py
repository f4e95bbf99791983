"""A client of the bare protocol, so that tests see every byte the simulator writes."""

import asyncio
import json
import zlib
from contextlib import suppress

import pytest
import zstandard
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway_service.protocol.constants import ALL_INTENTS

DEADLINE_S = 60


class BareClient:
    """One connection; reads payloads, checks nothing."""

    def __init__(self, websocket, compression):
        self.websocket = websocket
        self._inflate = {
            "zlib-stream": zlib.decompressobj().decompress,
            "zstd-stream": zstandard.ZstdDecompressor().decompressobj().decompress,
            "": lambda message: message,
        }[compression]

    async def text(self) -> bytes:
        """Return the next payload as it was written."""
        return self._inflate(await asyncio.wait_for(self.websocket.recv(decode=False), DEADLINE_S))

    async def payload(self) -> dict:
        return json.loads(await self.text())

    async def payloads(self, count: int) -> list[dict]:
        return [await self.payload() for _ in range(count)]

    async def say(self, op: int, data) -> None:
        await self.websocket.send(json.dumps({"op": op, "d": data}))

    async def identify(self, sim, shard=(0, 1), **fields) -> dict:
        """Identify and return READY."""
        data = {"token": sim.token, "properties": {}, "intents": int(ALL_INTENTS), "shard": list(shard)}
        await self.say(2, data | fields)
        return await self.payload()

    async def resume(self, sim, ready: dict, seq: int) -> None:
        await self.say(6, {"token": sim.token, "session_id": ready["d"]["session_id"], "seq": seq})

    async def close_code(self) -> int:
        """Read until the server closes and return its code."""
        async with asyncio.timeout(DEADLINE_S):
            with suppress(ConnectionClosed):
                while True:
                    await self.websocket.recv()
        return self.websocket.close_code


@pytest.fixture
async def dial():
    """Open bare connections, past HELLO unless told otherwise; they are closed in the end."""
    opened = []

    async def dial(url: str, compression: str = "", *, query: str = "v=10&encoding=json", hello: bool = True):
        compress = f"&compress={compression}" if compression else ""
        websocket = await connect(f"{url}/?{query}{compress}", compression=None, max_size=None, ping_interval=None)
        opened.append(websocket)
        client = BareClient(websocket, compression)
        if hello:
            assert (await client.payload())["op"] == 10
        return client

    yield dial
    for websocket in opened:
        websocket.transport.abort()
        await websocket.wait_closed()
