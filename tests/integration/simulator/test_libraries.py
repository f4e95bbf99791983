"""Unmodified client libraries live on the simulator and through its faults, but for what they are known to do wrong."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import (
    Abort,
    AskHeartbeats,
    AskReconnect,
    CloseWith,
    Dispatch,
    EndStream,
    InvalidateSession,
    Moment,
    RefuseUpgrade,
    SendText,
    Simulator,
    SimulatorConfig,
    SkipSeqs,
)
from tests.support.node import node_modules

CLIENTS = Path(__file__).parent / "clients"
NUM_SHARDS = 2
# No library waits long: discord.py up to 2 s after the one refused upgrade, for after a close it resumes at once, and
# hikari 1 to 3 s, five times as fast.
DEADLINE_S = 180
LIBRARIES = {
    "discord.py Client": ["discordpy.py", "client"],
    "discord.py AutoShardedClient": ["discordpy.py", "autosharded"],
    "hikari": ["hikaribot.py"],
    "discord.js": ["node/discordjs.cjs"],
    "@discordjs/ws": ["node/discordjsws.cjs"],
}
# What no library may stumble over: each keeps its session and loses nothing.
FAULTS = {
    "op 1 burst": AskHeartbeats(3),
    "unknown opcode": SendText(),
    "unknown event": Dispatch("BRAND_NEW", "{}"),
    "number left out": SkipSeqs(1),
    "op 7": AskReconnect(),
    "op 9 true": InvalidateSession(resumable=True),
    "close 4000": CloseWith(4000),
    "close 1012": CloseWith(1012),
    "TCP reset": Abort(),
    "FIN": EndStream(),
}
# What they are known to do: a new session although Discord kept the old one. docs/simulator.md has the same table.
DROPS_THE_SESSION = {
    "discord.py AutoShardedClient": {"resume host 503 once"},
    "discord.js": {"close 1000", "close 4008"},
    "@discordjs/ws": {"close 1000", "close 4008", "resume host 503 once"},
}


class Client:
    """A library in a process of its own, which keeps its warnings and global state there."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[dict] = []

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def until(self, happening: str, count: int) -> list[dict]:
        """Read reports until ``count`` of this kind have come since the start, and return them."""
        async with asyncio.timeout(DEADLINE_S):
            while len(found := [line for line in self.seen if line["happening"] == happening]) < count:
                line = await self._process.stdout.readline()
                assert line, f"the client ended; it had reported {self.seen}"
                self.seen.append(json.loads(line))
        return found


@asynccontextmanager
async def library(script: list[str], sim: Simulator, stderr: int | None = None):
    process = await asyncio.create_subprocess_exec(
        "node" if script[0].endswith(".cjs") else sys.executable,
        str(CLIENTS / script[0]),
        *script[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
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


async def test_unmodified_python_libraries_live_on_the_simulator_and_through_its_faults():
    """Beside one another, because starting one takes seconds; a failure is noted with its library."""
    async with asyncio.TaskGroup() as tasks:
        for name in ("discord.py Client", "discord.py AutoShardedClient", "hikari"):
            tasks.create_task(whole_life(name, LIBRARIES[name]))
        tasks.create_task(discordpy_ends_on_op_7_in_place_of_hello())


async def test_unmodified_javascript_libraries_live_on_the_simulator_and_through_its_faults(monkeypatch):
    monkeypatch.setenv("NODE_PATH", str(node_modules(CLIENTS / "node" / "package.json")))
    async with asyncio.TaskGroup() as tasks:
        for name in ("discord.js", "@discordjs/ws"):
            tasks.create_task(whole_life(name, LIBRARIES[name]))


async def whole_life(name: str, script: list[str]) -> None:
    config = SimulatorConfig(shards=NUM_SHARDS, guilds=6, max_concurrency=NUM_SHARDS, identify_window_s=0)
    try:
        async with Simulator(config) as sim, library(script, sim) as client:
            await logs_in(sim, client, readies=NUM_SHARDS if script[-1] == "client" else 1)
            await resumes_after_op_7(sim, client)
            await keeps_its_session_through_faults(sim, client)
            await drops_its_session_where_it_is_known_to(sim, DROPS_THE_SESSION.get(name, set()))
    except Exception as error:
        error.add_note(f"library: {name}")
        raise


async def logs_in(sim: Simulator, client: Client, *, readies: int) -> None:
    ready = await client.until("ready", readies)
    assert {int(guild) for line in ready for guild in line["guilds"]} == set(sim.guild_ids)
    assert sorted(shard for line in ready for shard in line["shards"]) == [0, 1]


async def resumes_after_op_7(sim: Simulator, client: Client) -> None:
    for number, guild_id in enumerate(sim.guild_ids):
        sim.emit("MESSAGE_CREATE", message(sim, guild_id, f"before {number}"))
    before = await client.until("message", 6)
    assert {(int(line["guild"]), line["shard"]) for line in before} == {
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

    assert {record.host for record in sim.transcript.payloads(Opcode.RESUME)} == {"localhost"}
    assert len(sim.transcript.payloads(Opcode.IDENTIFY)) == NUM_SHARDS
    sim.transcript.assert_sessions_kept()
    sim.transcript.assert_every_seq_delivered()


async def keeps_its_session_through_faults(sim: Simulator, client: Client) -> None:
    guild_id = next(guild for guild in sim.guild_ids if (guild >> 22) % NUM_SHARDS == 0)
    for count, (name, fault) in enumerate(FAULTS.items(), start=13):
        assert sim.inject(fault, 0) == 1, name
        sim.emit("MESSAGE_CREATE", message(sim, guild_id, name))
        messages = await client.until("message", count)
        assert messages[-1]["content"] == name
        await sim.wait_for_shards([0], timeout_s=DEADLINE_S)

    assert len(sim.transcript.payloads(Opcode.IDENTIFY)) == NUM_SHARDS
    sim.transcript.assert_no_violations()


async def drops_its_session_where_it_is_known_to(sim: Simulator, known: set[str]) -> None:
    dropped = set()
    for name, code in (("close 1000", 1000), ("close 4008", 4008), ("resume host 503 once", 4000)):
        if code == 4000:
            sim.arm(RefuseUpgrade(), Moment.UPGRADE, host="localhost")
        identified = len(sim.transcript.payloads(Opcode.IDENTIFY))
        assert sim.close(0, code) == 1, name
        await sim.wait_for_shards([0], timeout_s=DEADLINE_S)
        if len(sim.transcript.payloads(Opcode.IDENTIFY)) > identified:
            dropped.add(name)
    assert dropped == known


async def discordpy_ends_on_op_7_in_place_of_hello() -> None:
    async with Simulator(SimulatorConfig(shards=NUM_SHARDS)) as sim:
        sim.arm(AskReconnect(), Moment.HELLO)
        async with library(LIBRARIES["discord.py Client"], sim, stderr=asyncio.subprocess.DEVNULL) as client:
            await client.until("failed", 1)
        assert client.exit_code == 1


async def until(condition) -> None:
    """Wait for the turn of the event loop in which ``condition`` becomes true."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0)


def message(sim: Simulator, guild_id: int, content: str) -> dict:
    """Return a complete message, as strict models want it."""
    full, _ = sim.hub.templates.get("MESSAGE_CREATE", guild_id, 0)
    return json.loads(full.text(sim.hub.next_id())) | {"content": content}
