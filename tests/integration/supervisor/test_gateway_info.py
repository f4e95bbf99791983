"""GET /gateway/bot against a server that answers byte for byte what the test wants."""

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from importlib.metadata import version

import pytest

from gateway_service.errors import ApiUnavailable, TokenRefused
from gateway_service.supervisor import Patience, fetch_gateway_info

QUICK = Patience(tries=3, timeout_s=1.0, first_backoff_s=0.01, max_wait_s=1.0)
GOOD = {
    "url": "wss://gateway.discord.gg",
    "shards": 9,
    "session_start_limit": {"total": 1000, "remaining": 999, "reset_after": 14_400_500, "max_concurrency": 16},
}
SILENCE = None


def answer(status, body, kind="application/json", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def good(**changes):
    return answer("200 OK", {**GOOD, **changes})


def limited(**changes):
    return good(session_start_limit={**GOOD["session_start_limit"], **changes})


class Api:
    """Gives the answers in order, the last one again and again."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.conversations = set()

    async def serve(self, reader, writer):
        self.conversations.add(asyncio.current_task())
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        content = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if content is SILENCE:
            await reader.read()
        else:
            writer.write(content)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def api(*answers):
    served = Api(answers)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v10"
    async with server:
        yield served
    if served.conversations:
        await asyncio.wait(served.conversations)  # each ends with its client


async def fetch(served, patience=QUICK):
    return await fetch_gateway_info(served.url, "the.bot.token", patience)


async def test_a_good_answer_is_read():
    async with api(good()) as served:
        info = await fetch(served)

    assert (info.url, info.shards, info.max_concurrency) == ("wss://gateway.discord.gg", 9, 16)
    assert (info.identifies_total, info.identifies_remaining, info.reset_after_s) == (1000, 999, 14_400.5)
    assert info.clock_offset_s is None


async def test_an_answer_with_a_date_tells_how_far_our_clock_is_off():
    an_hour_ahead = formatdate(time.time() + 3600, usegmt=True)
    async with api(answer("200 OK", GOOD, Date=an_hour_ahead)) as served:
        info = await fetch(served)

    assert info.clock_offset_s == pytest.approx(-3600, abs=60)


async def test_the_request_is_what_discord_asks_for():
    async with api(good()) as served:
        await fetch(served)

    request = served.requests[0].lower().splitlines()
    assert request[0] == "get /api/v10/gateway/bot http/1.1"
    assert "authorization: bot the.bot.token" in request
    assert f"user-agent: discordbot (gateway-service, {version('gateway-service')})" in request


async def test_a_concurrency_of_0_counts_as_1():
    async with api(limited(max_concurrency=0)) as served:
        assert (await fetch(served)).max_concurrency == 1


async def test_401_refuses_the_token_and_is_not_tried_again():
    async with api(answer("401 Unauthorized", {"message": "401: Unauthorized", "code": 0})) as served:
        with pytest.raises(TokenRefused):
            await fetch(served)

    assert len(served.requests) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"retry_after": 0.25, "global": False}, {"Retry_After": "5"}),
        ({"message": "slow down"}, {"Retry_After": "0.25"}),
    ],
    ids=["body", "header"],
)
async def test_429_is_waited_out(body, headers):
    async with api(answer("429 Too Many Requests", body, **headers), good()) as served:
        started = asyncio.get_running_loop().time()
        info = await fetch(served)
        took_s = asyncio.get_running_loop().time() - started

    assert info.shards == 9
    assert took_s >= 0.25


async def test_429_for_too_long_ends_at_once():
    async with api(answer("429 Too Many Requests", {"retry_after": 3600.5})) as served:
        with pytest.raises(ApiUnavailable, match="try again in 3600\\.5 s"):
            await fetch(served)

    assert len(served.requests) == 1


@pytest.mark.parametrize("retry_after", [-1, "soon", None, [1]])
async def test_429_without_a_sensible_wait_backs_off(retry_after):
    async with api(answer("429 Too Many Requests", {"retry_after": retry_after}), good()) as served:
        assert (await fetch(served)).shards == 9


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (answer("502 Bad Gateway", b"<html>cloudflare</html>", "text/html"), "HTTP 502 Bad Gateway"),
        (answer("500 Internal Server Error", {}), "HTTP 500"),
        (SILENCE, "no answer within 1 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "closed connection"),
        (b"what?\r\n\r\n", "illegal"),
        (b"", "disconnected"),
    ],
    ids=["html-502", "500", "silence", "cut", "no-http", "closed"],
)
async def test_passing_trouble_is_tried_again_and_then_told(trouble, reason):
    async with api(trouble) as served:
        with pytest.raises(ApiUnavailable) as caught:
            await fetch(served)

    assert reason.lower() in str(caught.value).lower()
    assert served.url in str(caught.value)
    assert len(served.requests) == QUICK.tries


async def test_trouble_that_passes_is_forgotten():
    async with api(answer("503 Service Unavailable", b"", "text/html"), SILENCE, good()) as served:
        assert (await fetch(served)).shards == 9


async def test_nobody_there_is_told():
    async with api(good()) as served:
        pass
    with pytest.raises(ApiUnavailable, match=r"127\.0\.0\.1"):
        await fetch(served)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (answer("200 OK", b"<html>log in</html>", "text/html; charset=utf-8"), "text/html instead of JSON"),
        (answer("200 OK", b"\xff\xfe{", "text/plain"), "text/plain instead of JSON"),
        (answer("200 OK", b"{", "application/json"), "not that of Discord"),
        (answer("200 OK", b"\xff", "application/json"), "not that of Discord"),
        (answer("200 OK", []), "'session_start_limit' is missing"),
        (answer("200 OK", {"session_start_limit": {}}), "'url' is missing"),
        (good(url=5), "'url' is 5"),
        (good(url="https://gateway.discord.gg"), "not the address of a WebSocket"),
        (good(shards="9"), "'shards' is '9'"),
        (good(shards=True), "'shards' is True"),
        (limited(max_concurrency=None), "'max_concurrency' is None"),
        (limited(reset_after={}), "'reset_after' is {}"),
        (answer("404 Not Found", {}), "HTTP 404 Not Found; is GATEWAY_API_URL right?"),
        (answer("403 Forbidden", b"<html>", "text/html"), "HTTP 403"),
        (answer("301 Moved Permanently", b"", Location="http://127.0.0.1:9/"), "HTTP 301"),
    ],
)
async def test_an_answer_that_another_try_would_not_change_is_told_at_once(content, reason):
    async with api(content) as served:
        with pytest.raises(ApiUnavailable) as caught:
            await fetch(served)

    assert reason in str(caught.value)
    assert len(served.requests) == 1


async def test_the_token_is_in_no_message():
    async with api(answer("500 Internal Server Error", {})) as served:
        with pytest.raises(ApiUnavailable) as caught:
            await fetch(served)

    assert "the.bot.token" not in repr(caught.value)
