"""The straightforward way: a WebSocket library, orjson, and ``app.send_task`` for each dispatch.

Arguments: gateway URL, token, compression, broker URL. Prints ``ready`` once identified; runs until killed.
"""

import asyncio
import sys
import zlib
from typing import Any

import orjson
import zstandard
from celery import Celery
from kombu.entity import Exchange
from websockets.asyncio.client import connect


async def main(url: str, token: str, compression: str, broker_url: str) -> None:
    app = Celery("naive", broker=broker_url)
    app.conf.task_ignore_result = True
    events = Exchange("gateway.events", type="topic", durable=True, no_declare=True)
    inflate: Any = (
        zlib.decompressobj() if compression == "zlib-stream" else zstandard.ZstdDecompressor().decompressobj()
    )
    async with connect(f"{url}/?v=10&encoding=json&compress={compression}", compression=None, max_size=None) as socket:
        async for frame in socket:
            payload = orjson.loads(inflate.decompress(frame))
            if payload["op"] == 10:
                identify = {"token": token, "intents": 513 | 1 << 15, "shard": [0, 1], "properties": {"os": "linux"}}
                await socket.send(orjson.dumps({"op": 2, "d": identify}).decode())
            elif payload["t"] == "READY":
                print("ready", flush=True)
            elif payload["op"] == 0:
                name = payload["t"]
                app.send_task(f"gateway.{name}", args=[payload["d"]], exchange=events, routing_key=f"{name}.0")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
