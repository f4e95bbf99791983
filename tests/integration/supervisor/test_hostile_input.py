"""Two real shard processes; what one of them gets is hostile, and the other one never notices."""

import asyncio

import pytest

from gateway_service.protocol.constants import MAX_MESSAGE_BYTES, Opcode
from gateway_service.refusals import TooLarge
from gateway_service.settings import GatewayOptions
from gateway_service.simulator import Garble, Simulator, SimulatorConfig
from gateway_service.supervisor import Supervisor
from tests.support.stand_ins import accept
from tests.support.waiting import TIMEOUT_S, until

BIG = b'{"id":"7","members":["' + b"x" * 50_000_000 + b'"]}'
DELIVERED = [b"[" * 200 + b"]" * 200, b"9" * 400, b'{"content":"\\ud800"}', b"null"]
# What no worker could decode, in every replay as well: skipped, and told.
POISON = [b"[" * 100_000 + b"]" * 100_000, b"NaN", b'"\xff"']
# The text of the largest message twice, its pieces beside it, and the process itself.
MAX_RSS_BYTES = 4 * MAX_MESSAGE_BYTES


@pytest.fixture
async def discord():
    config = SimulatorConfig(shards=2, guilds=2, max_concurrency=2, identify_window_s=0, replay_max_bytes=10**9)
    async with Simulator(config) as sim:
        yield sim


async def test_a_shard_survives_hostile_input_and_no_other_is_touched(discord, tmp_path):
    options = GatewayOptions(
        token=discord.token,
        api_url=discord.api_url,
        shard_count=2,
        processes=2,
        broker_url="memory://localhost//",
        state_url=f"sqlite:///{tmp_path}/state.db",
    )
    guild_id = next(each for each in discord.guild_ids if (each >> 22) % 2 == 0)
    async with Supervisor(options, connect_broker=accept) as supervisor:
        await discord.wait_for_shards([0, 1])

        discord.emit_raw("GUILD_CREATE", BIG, guild_id)
        for raw in DELIVERED:
            discord.emit_raw("ODD", raw, guild_id)
        discord.inject(Garble("bomb", MAX_MESSAGE_BYTES + 1), 0)
        discord.emit_raw("AFTER", b"1", guild_id)
        await until(lambda: published(supervisor, 0) == sent(discord, 0))
        assert len(discord.transcript.payloads(Opcode.RESUME)) == 1

        # The simulator does not know this guild, and leaves the answer to us.
        members = {"guild_id": "5", "query": "a", "limit": 1}
        asking = asyncio.ensure_future(supervisor.fleet.command(0, Opcode.REQUEST_GUILD_MEMBERS, members, TIMEOUT_S))
        [asked] = await until(lambda: discord.transcript.payloads(Opcode.REQUEST_GUILD_MEMBERS))
        nonce = asked.data["nonce"].encode()
        chunk = b'{"guild_id":"5","nonce":"%s","members":%s}' % (nonce, DELIVERED[0])
        discord.emit_raw("GUILD_MEMBERS_CHUNK", chunk, guild_id)
        with pytest.raises(TooLarge, match="nested more than 64 levels deep"):
            await asking

        for raw in POISON:
            discord.emit_raw("POISON", raw, guild_id)
            discord.emit_raw("BETWEEN", b"1", guild_id)
        discord.emit_raw("OTHER", b"1", next(each for each in discord.guild_ids if (each >> 22) % 2 == 1))
        await until(lambda: published(supervisor, 0) == sent(discord, 0) - len(POISON))
        await until(lambda: published(supervisor, 1) == sent(discord, 1))
        shards = supervisor.snapshot().shards
        assert [(shard.gaps, shard.is_balanced) for shard in shards] == [(len(POISON), True), (0, True)]
        assert len(discord.transcript.payloads(Opcode.RESUME)) == 2
        assert len(identifies(discord, 0)) == 1

        first = supervisor.snapshot().processes[0]
        assert (first.restarts, first.status.max_rss_bytes < MAX_RSS_BYTES) == (0, True)
        assert ("too_long", "none", 1) in first.status.reconnects
        assert {record.connection for record in discord.transcript if record.shard_id == 1} == {
            identifies(discord, 1)[0].connection
        }


def identifies(sim, shard_id):
    return sim.transcript.payloads(Opcode.IDENTIFY, shard_id=shard_id)


def sent(sim, shard_id):
    return sum(each.last_seq for each in sim.hub.sessions.dispatched_ranges() if each.shard_id == shard_id)


def published(supervisor, shard_id):
    return supervisor.snapshot().shards[shard_id].published
