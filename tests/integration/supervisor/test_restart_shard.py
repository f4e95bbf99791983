"""Restarting one shard of real processes that are connected to a simulator."""

import pytest

from gateway_service.errors import ShardUnavailable
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.waiting import until


async def test_a_shard_resumes_or_identifies_as_it_is_told(connect_to):
    async with Simulator(SimulatorConfig(shards=2, max_concurrency=2, identify_window_s=0.0)) as discord:

        def counts(name):
            return [getattr(shard, name) for shard in supervisor.snapshot().shards]

        async with connect_to(discord, shard_count=2) as supervisor:
            await discord.wait_for_shards([0, 1])
            await until(lambda: counts("identifies") == [1, 1])

            supervisor.fleet.restart_shard(1, "resume")
            await until(lambda: counts("resumes") == [0, 1])
            discord.transcript.assert_sessions_kept()

            supervisor.fleet.restart_shard(1, "identify")
            await until(lambda: counts("identifies") == [1, 2])
            await discord.wait_for_shards([0, 1])

            with pytest.raises(ShardUnavailable, match="shard 7 is not available: it does not belong"):
                supervisor.fleet.restart_shard(7, "resume")

        said = discord.transcript.payloads
        assert [record.shard_id for record in said(Opcode.IDENTIFY)][-1] == 1
        assert (len(said(Opcode.IDENTIFY)), len(said(Opcode.RESUME))) == (3, 1)
        assert [record.shard_id for record in discord.transcript.closes() if record.code == 1000] == [1]
        discord.transcript.assert_no_violations()
