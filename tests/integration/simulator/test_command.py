"""``simulate`` as its own process, and the pytest plugin in a test run of its own."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx
from click.testing import CliRunner

from gateway_service.simulator.command import simulate
from gateway_service.simulator.pytest_plugin import discord_simulator

START = [sys.executable, "-c", "from gateway_service.simulator.command import simulate; simulate()", "--json"]
DEADLINE_S = 120


class Discord:
    def __init__(self, where):
        self.token, self.gateway_url = where["token"], where["gateway_url"]
        self.control_url = where["api_url"].removesuffix("/api/v10") + "/_sim"


@asynccontextmanager
async def simulation(*options):
    """Run the command; yield where it is and a function that ends it and returns its last words."""
    process = await asyncio.create_subprocess_exec(*START, *options, stdout=asyncio.subprocess.PIPE)
    try:
        where = json.loads(await asyncio.wait_for(process.stdout.readline(), DEADLINE_S))

        async def end():
            process.send_signal(signal.SIGTERM)
            last_words = await asyncio.wait_for(process.stdout.read(), DEADLINE_S)
            assert await process.wait() == 0
            return json.loads(last_words)

        yield Discord(where), end
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_sends_at_a_rate_counts_and_ends_on_sigterm(dial, tmp_path):
    transcript = tmp_path / "transcript.jsonl"
    options = ["--guilds", "3", "--rate", "1000", "--total", "50", "--mix", "busy", "--transcript", str(transcript)]
    async with simulation(*options) as (discord, end):
        client = await dial(discord.gateway_url, "zstd-stream")
        await client.identify(discord)
        await client.payloads(53)
        totals = await end()

    assert totals["sent"] == 54
    assert totals["by_event"]["GUILD_CREATE"] == 3
    lines = [json.loads(line) for line in transcript.read_text().splitlines()]
    assert [line["last_seq"] for line in lines if line["kind"] == "dispatches"] == [54]


async def test_it_plays_a_corpus(dial, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t":"ODD","d":[1]}\n')
    async with simulation("--guilds", "0", "--corpus", str(tmp_path)) as (discord, end):
        client = await dial(discord.gateway_url)
        await client.identify(discord)
        assert await client.text() == b'{"t":"ODD","s":2,"op":0,"d":[1]}'
        await end()


async def test_it_plays_a_scenario(dial, tmp_path):
    (tmp_path / "day.yaml").write_text("steps: [{do: dispatch, event: ODD, sent: 1}, {do: close, code: 4009, sent: 2}]")
    async with simulation("--guilds", "0", "--scenario", str(tmp_path / "day.yaml")) as (discord, end):
        client = await dial(discord.gateway_url)
        await client.identify(discord)
        assert (await client.payload())["t"] == "ODD"
        assert await client.close_code() == 4009
        await end()


def test_a_wrong_scenario_is_told_before_anything_listens(tmp_path):
    (tmp_path / "day.yaml").write_text("steps: [{do: op8}]")
    result = CliRunner().invoke(simulate, ["--scenario", str(tmp_path / "day.yaml")])
    assert result.exit_code == 2
    assert "day.yaml: step 1: unknown fault 'op8'; did you mean 'op9'?" in " ".join(result.output.split())


async def test_traffic_is_started_and_stopped_from_outside(dial):
    async with simulation("--guilds", "3", "--control") as (discord, end), httpx.AsyncClient() as http:
        client = await dial(discord.gateway_url)
        await client.identify(discord)
        await client.payloads(3)
        await http.post(f"{discord.control_url}/traffic", json={"rate": 2000, "mix": "busy"})
        assert (await client.payloads(20))[-1]["s"] == 24
        assert (await http.delete(f"{discord.control_url}/traffic")).json() == {"running": False}
        sent = (await http.get(f"{discord.control_url}/sent")).json()
        assert (sent["traffic"], sent["waiting"]) == (False, 0)
        assert (await end())["sent"] == sent["total"]


def test_it_stops_by_itself_and_tells_people_where_to_connect():
    command = [*START[:-1], "--seconds", "0.1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert "export GATEWAY_API_URL=http://127.0.0.1:" in result.stdout
    assert "export DISCORD_TOKEN=" in result.stdout
    assert result.stdout.splitlines()[-1] == "sent 0 dispatches in 0 sessions"


def test_a_wrong_number_is_told():
    result = CliRunner().invoke(simulate, ["--shards", "0"])
    assert (result.exit_code, "shards must be at least 1" in result.output) == (2, True)


def test_a_port_in_use_is_told():
    result = CliRunner().invoke(simulate, ["--host", "192.0.2.1"])
    assert (result.exit_code, "cannot listen" in result.output) == (1, True)


async def test_the_fixture_makes_simulators():
    make = discord_simulator.__wrapped__()
    async with make(guilds=3) as sim:
        assert len(sim.guild_ids) == 3


def test_the_plugin_imports_nothing_before_its_fixture_is_used():
    script = (
        "import sys, gateway_service.simulator.pytest_plugin; "
        "print([name for name in ('websockets', 'tornado', 'zstandard', 'orjson') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert result.stdout.strip() == "[]"
