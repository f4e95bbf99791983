"""Every fault of the simulator, as a bare client sees it."""

import asyncio
import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from gateway_service.simulator import (
    Abort,
    AskHeartbeats,
    AskReconnect,
    CloseWith,
    DelayAcks,
    Dispatch,
    EndStream,
    FillBuffer,
    FlapGuilds,
    Garble,
    LimitBandwidth,
    Moment,
    MoveResumeUrl,
    PadGuilds,
    RecommendShards,
    Repeat,
    ResetToken,
    SayNothing,
    SendText,
    SetMaxConcurrency,
    SetRemaining,
    Simulator,
    SimulatorConfig,
    SkipSeqs,
    StallClose,
    WithholdAcks,
    WithholdGuilds,
)
from tests.support.waiting import until

STREAMS = ["", "zlib-stream", "zstd-stream"]
ACK = {"t": None, "s": None, "op": 11, "d": None}


@pytest.fixture
async def sim():
    async with Simulator(SimulatorConfig(guilds=2, identify_window_s=0, control=True)) as sim:
        yield sim


@pytest.fixture
def live(sim, dial):
    """Open a connection with a session whose guilds have arrived."""

    async def live(compression=""):
        client = await dial(sim.gateway_url, compression)
        client.ready = await client.identify(sim)
        await client.payloads(2)
        return client

    return live


async def lost(client):
    """Read until the connection ends without a close frame."""
    return await client.close_code() == 1006


@pytest.mark.parametrize("fault", [Abort(), EndStream(), FillBuffer(for_s=0.01)])
async def test_a_connection_can_end_without_a_close_frame(sim, live, fault):
    client = await live()
    assert sim.inject(fault, 0) == 1
    assert await lost(client)


@pytest.mark.parametrize("fault", [CloseWith(4000), Abort(), EndStream(), StallClose(4000)])
async def test_a_shard_whose_connection_ends_has_none_before_the_client_hears_of_it(sim, live, fault):
    await live()
    assert sim.inject(fault, 0) == 1
    assert sim.inject(fault, 0) == 0
    with pytest.raises(TimeoutError):
        await sim.wait_for_shards([0], timeout_s=0)


async def test_an_upgrade_can_be_cut_off(sim, dial):
    sim.arm(Abort(), Moment.UPGRADE)
    with pytest.raises((OSError, InvalidHandshake, ConnectionClosed, EOFError)):
        await dial(sim.gateway_url)


async def test_a_server_may_close_and_leave_tcp_open(sim, live):
    client = await live()
    sim.inject(StallClose(4000))
    received = await until(lambda: client.websocket.protocol.close_rcvd)
    assert received.code == 4000
    assert not client.websocket.transport.is_closing()


async def test_a_server_may_ignore_the_clients_close_and_go_on_writing(sim, live):
    client = await live()
    sim.inject(StallClose(None))
    closing = asyncio.ensure_future(client.websocket.close(4000))
    sim.emit("TYPING_START", guild_id=sim.guild_ids[0])
    assert (await client.payload())["t"] == "TYPING_START"
    assert not closing.done()
    closing.cancel()


async def test_acks_can_be_withheld_while_dispatches_flow(sim, live):
    client = await live()
    sim.inject(WithholdAcks())
    await client.say(1, None)
    sim.emit_raw("ODD", b"1")
    assert (await client.payload())["t"] == "ODD"
    sim.thaw()
    await client.say(1, None)
    assert await client.payload() == ACK


async def test_acks_can_be_late(sim, live):
    client = await live()
    sim.inject(DelayAcks(by_s=0.02))
    await client.say(1, None)
    sim.emit_raw("ODD", b"1")
    assert [payload["op"] for payload in await client.payloads(2)] == [0, 11]


async def test_heartbeats_can_be_asked_for_in_a_burst(sim, live):
    client = await live()
    sim.inject(AskHeartbeats(3))
    assert [payload["op"] for payload in await client.payloads(3)] == [1, 1, 1]


@pytest.mark.parametrize("moment", [Moment.HELLO, Moment.IDENTIFY, Moment.RESUME])
async def test_what_should_be_said_may_be_missing_on_a_healthy_connection(sim, dial, live, moment):
    ready = (await live()).ready
    sim.arm(SayNothing(), moment)
    client = await dial(sim.gateway_url, hello=moment is not Moment.HELLO)
    if moment is Moment.RESUME:
        await client.resume(sim, ready, 3)
    elif moment is Moment.IDENTIFY:
        await client.say(2, {"token": sim.token, "properties": {}, "intents": 1})
    await client.say(1, None)
    assert await client.payload() == ACK


async def test_a_fault_can_strike_in_the_midst_of_the_guild_stream(sim, dial):
    sim.arm(AskReconnect(), Moment.GUILD_STREAM, after=2)
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    assert [payload["op"] for payload in await client.payloads(3)] == [0, 7, 0]


async def test_a_fault_can_strike_in_the_midst_of_a_replay(sim, dial, live):
    client = await live()
    await client.websocket.close(4000)
    for _ in range(3):
        sim.emit_raw("MISSED", b"1")
    sim.arm(CloseWith(4000), Moment.REPLAY, after=2)

    again = await dial(sim.resume_gateway_url)
    await again.resume(sim, client.ready, 3)
    assert [payload["s"] for payload in await again.payloads(2)] == [4, 5]
    assert await again.close_code() == 4000

    third = await dial(sim.resume_gateway_url)
    await third.resume(sim, client.ready, 5)
    assert [payload["t"] for payload in await third.payloads(3)] == ["MISSED", "RESUMED", "RESUMED"]


async def test_numbers_can_be_left_out_and_repeated(sim, live):
    client = await live()
    sim.inject(SkipSeqs(2))
    sim.emit_raw("ODD", b"1")
    assert (await client.payload())["s"] == 6
    sim.inject(Repeat(3))
    assert (await client.payload())["s"] == 6
    assert len(sim.sent_ids()) == sim.sent.total == 4


async def test_anything_can_be_said(sim, live):
    client = await live()
    sim.inject(SendText("no JSON"))
    sim.inject(Dispatch("ODD", "1e999"))
    assert await client.text() == b"no JSON"
    assert await client.text() == b'{"t":"ODD","s":4,"op":0,"d":1e999}'


async def test_guilds_flap(sim, live):
    client = await live()
    sim.inject(FlapGuilds(1))
    flaps = await client.payloads(4)
    assert [(flap["t"], flap["d"]["unavailable"]) for flap in flaps] == [
        ("GUILD_DELETE", True),
        ("GUILD_CREATE", False),
    ] * 2


async def test_guilds_may_never_come_or_come_big(sim, dial):
    sim.arm(WithholdGuilds(), Moment.GUILD_STREAM)
    sim.arm(PadGuilds(100_000), Moment.GUILD_STREAM)
    first, second = await dial(sim.gateway_url), await dial(sim.gateway_url)

    assert len((await first.identify(sim))["d"]["guilds"]) == 2
    await first.say(1, None)
    assert await first.payload() == ACK
    await second.identify(sim)
    assert len(await second.text()) > 100_000


@pytest.mark.parametrize("compression", STREAMS)
@pytest.mark.parametrize("how", ["fragmented", "reordered"])
async def test_a_dispatch_may_be_written_oddly(sim, live, compression, how):
    client = await live(compression)
    sim.inject(Garble(how))
    sim.emit_raw("ODD", b'{"a":1}')
    assert await client.payload() == {"t": "ODD", "s": 4, "op": 0, "d": {"a": 1}}


@pytest.mark.parametrize("how", ["truncated", "corrupt", "plain", "ended", "invalid-utf8", "bomb"])
async def test_a_dispatch_may_arrive_broken_and_is_whole_in_the_replay(sim, dial, live, how):
    client = await live("zlib-stream")
    sim.inject(Garble(how, size_bytes=1000))
    sim.emit_raw("ODD", b'{"a":1}')
    message = await client.websocket.recv()
    if how == "plain":
        assert isinstance(message, str)
    client.websocket.transport.abort()

    again = await dial(sim.resume_gateway_url)
    await again.resume(sim, client.ready, 3)
    assert await again.text() == b'{"t":"ODD","s":4,"op":0,"d":{"a":1}}'


async def test_bandwidth_is_limited_until_the_thaw(sim, live):
    client = await live()
    sim.inject(LimitBandwidth(bytes_per_s=1_000_000))
    sim.emit_raw("ODD", b'"' + b"x" * 20_000 + b'"')
    started_at = asyncio.get_running_loop().time()
    await client.payload()
    assert asyncio.get_running_loop().time() - started_at > 0.015


async def test_the_limits_and_the_count_of_the_bot_can_change(sim):
    for fault in (SetRemaining(0), SetMaxConcurrency(16), RecommendShards(5)):
        sim.inject(fault)
    async with httpx.AsyncClient(headers={"Authorization": f"Bot {sim.token}"}) as api:
        info = (await api.get(f"{sim.api_url}/gateway/bot")).json()
    assert (info["shards"], info["session_start_limit"]["remaining"]) == (5, 0)
    assert info["session_start_limit"]["max_concurrency"] == 16


async def test_a_token_can_be_reset(sim, live):
    client = await live()
    assert sim.inject(ResetToken()) == 1
    assert await client.close_code() == 4004
    async with httpx.AsyncClient(headers={"Authorization": f"Bot {sim.token}"}) as api:
        assert (await api.get(f"{sim.api_url}/gateway/bot")).status_code == 401
        sim.inject(ResetToken(new_token="new"))
        answers = [
            await api.get(f"{sim.api_url}/gateway/bot", headers={"Authorization": f"Bot {token}"})
            for token in (sim.token, "new", "none")
        ]
    assert [answer.status_code for answer in answers] == [401, 200, 401]


async def test_the_resume_host_can_move(sim, live):
    sim.inject(MoveResumeUrl("ws://gone.invalid"))
    assert (await live()).ready["d"]["resume_gateway_url"] == "ws://gone.invalid"


async def test_a_rolling_restart_asks_one_connection_after_the_other(sim, live):
    clients = [await live(), await live()]
    await sim.rolling_restart(every_s=0.001)
    assert [(await client.payload())["op"] for client in clients] == [7, 7]


async def test_the_control_port_takes_orders(sim, live):
    client = await live()
    url = sim.api_url.removesuffix("/api/v10") + "/_sim"
    async with httpx.AsyncClient() as api:
        armed = await api.post(f"{url}/faults", json={"do": "op9", "when": "resume", "times": 3})
        struck = await api.post(f"{url}/faults", json={"do": "dispatch", "event": "ODD", "shard": 0})
        wrong = await api.post(f"{url}/faults", json={"do": "clsoe"})
        by_path = await api.post(f"{url}/shards/0/send-text", params={"text": json.dumps({"op": 77})})
        await api.delete(f"{url}/faults")

    assert (armed.json(), struck.json(), by_path.json()) == ({"struck": 0}, {"struck": 1}, {"struck": 1})
    assert (wrong.status_code, wrong.json()["message"]) == (400, "unknown fault 'clsoe'; did you mean 'close'?")
    payloads = await client.payloads(2)
    assert {payload["op"] for payload in payloads} == {0, 77}
    assert sim.hub.faults.take(Moment.RESUME, host="any") is None
