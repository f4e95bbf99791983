"""The simulator's gateway, byte by byte, as a bare client sees it."""

import asyncio
import json
import zlib
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway_service.simulator import (
    Abort,
    AskReconnect,
    CloseWith,
    InvalidateSession,
    Moment,
    RefuseUpgrade,
    Simulator,
    SimulatorConfig,
)
from tests.support.waiting import until

COMPRESSIONS = ["", "zlib-stream", "zstd-stream"]


@pytest.fixture
async def sim():
    async with Simulator(SimulatorConfig(guilds=2, identify_window_s=0, reconnect_grace_s=0.05)) as sim:
        yield sim


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_a_session_begins_with_hello_ready_and_the_guilds(sim, dial, compression):
    client = await dial(sim.gateway_url, compression, hello=False)
    assert await client.text() == b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}'

    ready = await client.identify(sim)
    guilds = await client.payloads(2)

    assert (ready["t"], ready["s"], ready["op"]) == ("READY", 1, 0)
    assert ready["d"]["shard"] == [0, 1]
    assert ready["d"]["resume_gateway_url"].startswith("ws://localhost:")
    assert [(guild["t"], guild["s"]) for guild in guilds] == [("GUILD_CREATE", 2), ("GUILD_CREATE", 3)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_dispatches_have_the_key_order_of_live_discord(sim, dial, compression):
    client = await dial(sim.gateway_url, compression)
    await client.identify(sim)
    await client.payloads(2)

    sim.emit_raw("ODD", b'{ "d" : 1e2 }')

    assert await client.text() == b'{"t":"ODD","s":4,"op":0,"d":{ "d" : 1e2 }}'


async def test_zlib_messages_may_span_frames(dial):
    async with Simulator(SimulatorConfig(guilds=1, zlib_frame_bytes=100)) as sim:
        client = await dial(sim.gateway_url, "zlib-stream")
        await client.say(2, {"token": sim.token, "properties": {}, "intents": 1})
        parts = [await client.text()]
        while not parts[-1].endswith(b"}") or b"".join(parts).count(b'"op":0') < 2:
            parts.append(await client.text())
        assert len(parts) > 2
        assert b"".join(parts).startswith(b'{"t":"READY","s":1,"op":0,')


async def test_payload_compression_starts_with_ready(sim, dial):
    client = await dial(sim.gateway_url)
    await client.say(2, {"token": sim.token, "properties": {}, "intents": 1, "compress": True})

    message = await client.websocket.recv()

    assert isinstance(message, bytes)
    assert json.loads(zlib.decompress(message))["t"] == "READY"


async def test_json_in_binary_frames_is_accepted(sim, dial):
    client = await dial(sim.gateway_url)
    await client.websocket.send(b'{"op":1,"d":null}')
    assert await client.text() == b'{"t":null,"s":null,"op":11,"d":null}'


@pytest.mark.parametrize("code", [3024, 4000, 4900])
async def test_the_clients_close_code_is_echoed(sim, dial, code):
    client = await dial(sim.gateway_url)
    await client.websocket.close(code)
    assert client.websocket.close_code == code


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_resume_replays_in_order_then_says_resumed_then_goes_on(sim, dial, compression):
    first = await dial(sim.gateway_url, compression)
    ready = await first.identify(sim)
    await first.websocket.close(4000)
    for number in range(5):
        assert sim.emit_raw("MISSED", b"%d" % number) == 1

    second = await dial(sim.resume_gateway_url, compression)
    await second.resume(sim, ready, 3)
    replay = await second.payloads(6)
    sim.emit_raw("LIVE", b"null")
    live = await second.payload()

    assert [(p["t"], p["s"], p["d"]) for p in replay[:5]] == [("MISSED", 4 + n, n) for n in range(5)]
    assert (replay[5]["t"], replay[5]["s"]) == ("RESUMED", 9)
    assert isinstance(replay[5]["d"], dict)
    assert (live["t"], live["s"]) == ("LIVE", 10)
    assert len(sim.sent_ids()) == sim.sent.total == 10
    assert sim.sent_ids() == sim.dispatched_ids()
    sim.transcript.assert_every_seq_delivered()


async def test_what_waits_for_a_resume_is_dispatched_and_not_sent(sim, dial):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    await client.payloads(2)
    await client.websocket.close(4000)
    await until(lambda: not sim.connected_shards())

    sim.emit_raw("LATER", b"1")

    assert len(sim.sent_ids()) == 3
    assert len(sim.dispatched_ids()) == 4


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_client_that_closes_with_1000_or_1001_ends_its_session(sim, dial, code):
    first = await dial(sim.gateway_url)
    ready = await first.identify(sim)
    await first.websocket.close(code)

    second = await dial(sim.resume_gateway_url)
    await second.resume(sim, ready, 1)

    assert await second.payload() == {"t": None, "s": None, "op": 9, "d": False}


async def test_a_session_survives_the_servers_close_whatever_the_client_answers(sim, dial):
    first = await dial(sim.gateway_url)
    ready = await first.identify(sim)
    await first.payloads(2)
    sim.close(0, 1000)
    assert await first.close_code() == 1000

    second = await dial(sim.resume_gateway_url)
    await second.resume(sim, ready, 3)

    assert (await second.payload())["t"] == "RESUMED"


async def test_a_resume_takes_over_from_a_socket_that_still_looks_open(sim, dial):
    first = await dial(sim.gateway_url)
    ready = await first.identify(sim)
    await first.payloads(2)

    second = await dial(sim.resume_gateway_url)
    await second.resume(sim, ready, 3)

    assert (await second.payload())["t"] == "RESUMED"
    assert await first.close_code() == 1006
    assert sim.emit_raw("LIVE", b"1") == 1
    assert (await second.payload())["t"] == "LIVE"


async def test_op_7_that_is_ignored_ends_in_a_close(sim, dial):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    await client.payloads(2)

    assert sim.op7(0) == 1

    assert await client.payload() == {"t": None, "s": None, "op": 7, "d": None}
    assert await client.close_code() == 1001


async def test_after_op_9_true_the_same_socket_may_resume(sim, dial):
    client = await dial(sim.gateway_url)
    ready = await client.identify(sim)
    await client.payloads(2)

    sim.op9(0, resumable=True)
    assert (await client.payload())["d"] is True
    await client.resume(sim, ready, 2)

    assert [(p["t"], p["s"]) for p in await client.payloads(2)] == [("GUILD_CREATE", 3), ("RESUMED", 4)]


async def test_after_op_9_false_the_session_is_gone_and_the_socket_may_identify(sim, dial):
    client = await dial(sim.gateway_url)
    ready = await client.identify(sim)
    await client.payloads(2)

    sim.op9(0)
    assert (await client.payload())["d"] is False
    await client.resume(sim, ready, 3)
    assert (await client.payload())["d"] is False

    assert (await client.identify(sim))["d"]["session_id"] != ready["d"]["session_id"]


async def test_an_aborted_connection_has_no_close_frame(sim, dial):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    sim.abort(0)
    assert await client.close_code() == 1006


async def test_a_frozen_connection_says_nothing_until_it_thaws(sim, dial):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    await client.payloads(2)

    sim.freeze(0)
    await client.say(1, 3)
    sim.emit_raw("LATER", b"1")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.websocket.recv(), 0.05)
    sim.thaw(0)

    assert sorted(((p["op"], p["s"]) for p in await client.payloads(2)), key=str) == [(0, 4), (11, None)]


async def test_a_client_that_does_not_read_loses_nothing(sim, dial):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    client.websocket.transport.pause_reading()
    body = json.dumps("x" * 20_000).encode()
    for _ in range(500):
        sim.emit_raw("BIG", body)
    await until(lambda: sim.sent.total > 10)
    assert sim.sent.total < 503

    client.websocket.transport.resume_reading()

    assert [p["s"] for p in await client.payloads(502)] == list(range(2, 504))


async def test_abort_works_on_a_client_that_does_not_read(sim, dial):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    client.websocket.transport.pause_reading()
    for _ in range(500):
        sim.emit_raw("BIG", json.dumps("x" * 20_000).encode())
    await until(lambda: sim.sent.total > 10)

    sim.abort(0)

    await until(lambda: not sim.connected_shards())


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("v=6", 400), ("v=ten", 400), ("v=10&encoding=etf", 400), ("v=10&compress=brotli", 400)],
)
async def test_an_unfit_query_is_refused_before_the_upgrade(sim, dial, query, status):
    with pytest.raises(InvalidStatus) as refused:
        await dial(sim.gateway_url, query=query)
    assert refused.value.response.status_code == status


async def test_an_unknown_version_is_closed_with_4012(sim, dial):
    client = await dial(sim.gateway_url, query="v=99", hello=False)
    assert await client.close_code() == 4012


async def test_an_upgrade_can_be_refused_by_host(sim, dial):
    sim.arm(RefuseUpgrade(503), Moment.UPGRADE, host="localhost")
    await dial(sim.gateway_url)
    with pytest.raises(InvalidStatus):
        await dial(sim.resume_gateway_url)
    await dial(sim.resume_gateway_url)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [(AskReconnect(), {"op": 7, "d": None}), (InvalidateSession(resumable=True), {"op": 9, "d": True})],
)
async def test_a_fault_can_take_the_place_of_hello(sim, dial, fault, answer):
    sim.arm(fault, Moment.HELLO)
    client = await dial(sim.gateway_url, hello=False)
    assert (await client.payload()).items() >= answer.items()


async def test_faults_can_take_the_place_of_ready_and_of_the_replay(sim, dial):
    sim.arm(CloseWith(4009), Moment.IDENTIFY, shard_id=0)
    sim.arm(Abort(), Moment.RESUME)
    refused = await dial(sim.gateway_url)
    await refused.say(2, {"token": sim.token, "properties": {}, "intents": 0})
    assert await refused.close_code() == 4009
    accepted = await dial(sim.gateway_url)
    ready = await accepted.identify(sim)

    cut = await dial(sim.resume_gateway_url)
    await cut.resume(sim, ready, 1)

    assert await cut.close_code() == 1006


async def test_a_client_without_heartbeats_is_closed(dial):
    async with Simulator(SimulatorConfig(heartbeat_interval_ms=20)) as sim:
        client = await dial(sim.gateway_url)
        assert await client.close_code() == 1000
        assert [record.data for record in sim.transcript.violations()] == ["no heartbeat"]


async def test_traffic_reaches_the_shards_of_its_guilds_once(dial):
    async with Simulator(SimulatorConfig(guilds=4, max_concurrency=2, identify_window_s=0)) as sim:
        clients = [await dial(sim.gateway_url) for _ in range(2)]
        for shard_id, client in enumerate(clients):
            await client.identify(sim, (shard_id, 2))
            await client.payloads(2)
        await sim.wait_for_shards([0, 1])

        assert await sim.traffic(rate=None, total=100) == 100

        for shard_id, client in enumerate(clients):
            got = await client.payloads(50)
            assert {(int(p["d"]["guild_id"]) >> 22) % 2 for p in got} == {shard_id}
            assert [p["s"] for p in got] == list(range(4, 54))
        assert sim.sent.by_event["MESSAGE_CREATE"] == 100


async def test_a_corpus_arrives_byte_for_byte(sim, dial, tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"op": 0, "d" : { "n": 1e400,"ż":"\\u017c" } , "t":"ODD","s":7}\n\n'.encode())
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    await client.payloads(2)

    [played] = sim.corpus(tmp_path)

    assert await client.text() == '{"t":"ODD","s":4,"op":0,"d":{ "n": 1e400,"ż":"\\u017c" }}'.encode()
    assert played.seq == 4


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_cut_connections_lose_nothing_to_a_client_that_resumes(dial, compression):
    async with Simulator(SimulatorConfig(guilds=3)) as sim:
        client = await dial(sim.gateway_url, compression)
        ready = await client.identify(sim)
        seqs = [1]
        sim.start_traffic(rate=None, total=800)
        while len(seqs) < 600:
            with suppress(ConnectionClosed):
                while len(seqs) % 100:
                    seqs.append((await client.payload())["s"])
                sim.abort()
                while True:
                    await client.payload()  # read and thrown away, as by a process that is killed
            client = await dial(sim.resume_gateway_url, compression)
            await client.resume(sim, ready, seqs[-1])
            seqs.append((await client.payload())["s"])

        assert seqs == list(range(1, len(seqs) + 1))
        await sim.stop_traffic()
        sim.transcript.assert_every_seq_delivered()
        assert len(sim.transcript.payloads(6)) >= 6


async def test_a_session_loses_its_intents_and_nobody_is_told(sim, dial):
    client = await dial(sim.gateway_url)
    ready = await client.identify(sim)
    await client.payloads(2)

    assert sim.lose_intents(0, until_resume=True) == 1
    assert sim.emit("MESSAGE_CREATE", guild_id=sim.guild_ids[0]) == 0
    await client.say(1, 3)
    assert (await client.payload())["op"] == 11

    await client.websocket.close(4000)
    again = await dial(sim.resume_gateway_url)
    await again.resume(sim, ready, 3)
    assert (await again.payload())["t"] == "RESUMED"
    assert sim.emit("MESSAGE_CREATE", guild_id=sim.guild_ids[0]) == 1


async def test_a_fault_of_a_moment_cannot_strike_now(sim):
    with pytest.raises(ValueError, match="RefuseUpgrade strikes only at a moment: arm it"):
        sim.inject(RefuseUpgrade())
