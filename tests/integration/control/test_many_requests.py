"""However many requests stay, those of probes are answered: on the real server, with a shard that is none."""

import asyncio
from contextlib import suppress

import httpx
import orjson
import pytest

from gateway_service.control.control import Control
from gateway_service.control.feed import Feed
from gateway_service.control.http_api import MAX_CALLS, MAX_STREAMS
from gateway_service.control.http_server import HttpServer, bind, listening
from gateway_service.control.local import Host
from gateway_service.control.tokens import Tokens
from gateway_service.settings import Address
from tests.support.fleet import FakeFleet, shard
from tests.support.waiting import TIMEOUT_S, until

# More than the server takes connections.
MANY = 250
# Long enough for MANY connections to be opened, and short enough to be waited for.
REQUEST_WITHIN_S = 3.0


class Slow(FakeFleet):
    """Its commands are answered when the test says so."""

    def __init__(self):
        super().__init__(shard(0))
        self.answers = asyncio.Event()

    async def command(self, *_asked):
        await self.answers.wait()
        return [{}]


@pytest.fixture
async def fleet():
    return Slow()


@pytest.fixture
async def client(fleet):
    control = Control(Host(fleet, "gateway@here", lambda _reason: None))
    feed = Feed(control.host)
    with listening(bind(Address("127.0.0.1", 0))) as bound:
        server = HttpServer(bound, control, feed, Tokens({}), request_within_s=REQUEST_WITHIN_S)
        running = [asyncio.ensure_future(each) for each in (server.run(), feed.run())]
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=f"http://{server.address}", timeout=TIMEOUT_S, limits=limits) as client:
            yield client
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def assert_probes_are_answered(client):
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await client.get(path)).status_code == 200


async def stream(client):
    return await client.send(client.build_request("GET", "/v1/events"), stream=True)


async def test_streams_beyond_the_bound_are_refused_and_probes_are_answered(client):
    responses = [await stream(client) for _ in range(MANY)]
    streams = [response for response in responses if response.status_code == 200]
    refused = [response for response in responses if response.status_code == 429]

    assert (len(streams), len(refused)) == (MAX_STREAMS, MANY - MAX_STREAMS)
    await assert_probes_are_answered(client)
    assert refused[0].headers["content-type"] == "application/problem+json"
    problem = orjson.loads(await refused[0].aread())
    assert problem["code"] == "rate_limited"
    assert problem["detail"] == "50 event streams are open already, and this service holds no more; try again later"

    await streams[0].aclose()
    async with asyncio.timeout(TIMEOUT_S):
        while (another := await stream(client)).status_code != 200:
            await another.aclose()
    for response in (*responses, another):
        await response.aclose()


async def test_calls_beyond_the_bound_are_refused_and_probes_are_answered(client, fleet):
    calls = [asyncio.ensure_future(client.post("/v1/guilds/4/members", json={})) for _ in range(MAX_CALLS + 20)]
    await until(lambda: sum(call.done() for call in calls) == 20)

    await assert_probes_are_answered(client)
    fleet.answers.set()
    codes = [response.status_code for response in await asyncio.gather(*calls)]

    assert (codes.count(200), codes.count(429)) == (MAX_CALLS, 20)


@pytest.mark.parametrize(
    "begun", [b"", b"POST /v1/drain HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n1"], ids=["silent", "half"]
)
async def test_connections_without_a_whole_request_are_closed_and_probes_are_answered(client, begun):
    async def connect():
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(begun)
        return reader, writer

    connections = [await connect() for _ in range(MANY)]
    try:
        await assert_probes_are_answered(client)
        async with asyncio.timeout(TIMEOUT_S):
            assert {await reader.read() for reader, _ in connections} == {b""}
    finally:
        for _, writer in connections:
            writer.close()
