"""Unmodified client libraries live on the simulator: log in, get their guilds, receive, resume after op 7."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig

CLIENTS = Path(__file__).parent / "clients"
NUM_SHARDS = 2
DEADLINE_S = 30
LIBRARIES = [
    pytest.param(["discordpy.py", "client"], id="discord.py-Client"),
    pytest.param(["discordpy.py", "autosharded"], id="discord.py-AutoShardedClient"),
    pytest.param(["hikaribot.py"], id="hikari"),
]


class Client:
    """A library in a process of its own, which keeps its warnings and global state there."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[dict] = []

    async def until(self, happening: str, count: int) -> list[dict]:
        """Read reports until ``count`` of this kind have come since the start, and return them."""
        async with asyncio.timeout(DEADLINE_S):
            while len(found := [line for line in self.seen if line["happening"] == happening]) < count:
                line = await self._process.stdout.readline()
                assert line, f"the client ended; it had reported {self.seen}"
                self.seen.append(json.loads(line))
        return found


@asynccontextmanager
async def library(script: list[str], sim: Simulator):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENTS / script[0]),
        *script[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    target = {
        "api_url": sim.api_url,
        "gateway_url": sim.gateway_url,
        "token": sim.token,
        "num_shards": NUM_SHARDS,
    }
    try:
        process.stdin.write(json.dumps(target).encode() + b"\n")
        yield Client(process)
        process.stdin.close()
        await asyncio.wait_for(process.wait(), DEADLINE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("script", LIBRARIES)
async def test_an_unmodified_library_lives_on_the_simulator(script):
    config = SimulatorConfig(shards=NUM_SHARDS, guilds=6, max_concurrency=NUM_SHARDS)
    async with Simulator(config) as sim, library(script, sim) as client:
        readies = await client.until("ready", NUM_SHARDS if script[-1] == "client" else 1)
        assert {guild for ready in readies for guild in ready["guilds"]} == set(sim.guild_ids)
        assert sorted(shard for ready in readies for shard in ready["shards"]) == [0, 1]

        for number, guild_id in enumerate(sim.guild_ids):
            sim.emit("MESSAGE_CREATE", message(sim, guild_id, f"before {number}"))
        before = await client.until("message", 6)
        assert {(line["guild"], line["shard"]) for line in before} == {
            (guild_id, (guild_id >> 22) % NUM_SHARDS) for guild_id in sim.guild_ids
        }

        for shard_id in range(NUM_SHARDS):
            assert sim.op7(shard_id) == 1
            await until(lambda closed=shard_id + 1: len(sim.transcript.closes()) == closed)
            # There is no connection now: only the replay can bring these.
            for number, guild_id in enumerate(sim.guild_ids):
                if (guild_id >> 22) % NUM_SHARDS == shard_id:
                    assert sim.emit("MESSAGE_CREATE", message(sim, guild_id, f"missed {number}")) == 1
        await client.until("resumed", NUM_SHARDS)
        messages = await client.until("message", 12)
        assert sorted({line["content"] for line in messages}) == sorted(
            f"{when} {number}" for when in ("before", "missed") for number in range(6)
        )

        resumes = sim.transcript.payloads(Opcode.RESUME)
        assert {record.host for record in resumes} == {"localhost"}
        assert len(sim.transcript.payloads(Opcode.IDENTIFY)) == NUM_SHARDS
        sim.transcript.assert_identifies_paced(max_concurrency=NUM_SHARDS, window_s=5)
        sim.transcript.assert_sessions_kept()
        sim.transcript.assert_no_violations()
        sim.transcript.assert_every_seq_delivered()


async def until(condition) -> None:
    """Wait for the turn of the event loop in which ``condition`` becomes true."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0)


def message(sim: Simulator, guild_id: int, content: str) -> dict:
    """Return a complete message, as strict models want it."""
    full, _ = sim.hub.templates.get("MESSAGE_CREATE", guild_id, 0)
    return json.loads(full.text(sim.hub.next_id())) | {"content": content}
