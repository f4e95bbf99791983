"""The identify budget: supervisors and their processes against a simulator that counts, and kills the token at 0."""

import pytest

from gateway_service.errors import ShardUnavailable
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.waiting import until


def discord_with(remaining, *, shards=3, limit=1000):
    return Simulator(
        SimulatorConfig(
            shards=shards,
            max_concurrency=16,
            identify_window_s=0.0,
            identify_limit=limit,
            identify_remaining=remaining,
        )
    )


def identified(discord):
    return [record.shard_id for record in discord.transcript.payloads(Opcode.IDENTIFY)]


def waiting(supervisor):
    return [shard.shard_id for shard in supervisor.snapshot().shards if "may not IDENTIFY" in (shard.reason or "")]


async def test_a_start_that_cannot_afford_every_identify_keeps_the_reserve(connect_to, caplog):
    async with discord_with(202) as discord, connect_to(discord) as supervisor:
        await until(lambda: waiting(supervisor) == [2])
        await discord.wait_for_shards([0, 1])

        budget = supervisor.snapshot().identify_budget
        assert (budget.remaining, budget.reserve, budget.held, budget.can_restart_all) == (200, 200, 1, False)
        await until(lambda: supervisor.snapshot().shards[2].state == "permit_wait")
        with pytest.raises(ShardUnavailable, match="its session is kept"):
            supervisor.fleet.restart_shard(0, "identify")
        supervisor.fleet.restart_shard(0, "resume")
        await until(lambda: supervisor.snapshot().shards[0].resumes == 1)

    assert identified(discord) == [0, 1]
    assert [r.event_fields["reason"] for r in caplog.records if r.message == "identify.waiting"] == ["reserve"]


async def test_forced_the_reserve_is_spent_and_nothing_more(connect_to, caplog):
    async with discord_with(2) as discord, connect_to(discord, force_identify=True) as supervisor:
        await until(lambda: waiting(supervisor) == [2])
        await discord.wait_for_shards([0, 1])

        budget = supervisor.snapshot().identify_budget
        assert (budget.remaining, budget.forced) == (0, 2)
        assert "no IDENTIFY is left" in supervisor.snapshot().shards[2].reason

    assert identified(discord) == [0, 1]
    assert discord.hub.token == discord.token
    assert len([record for record in caplog.records if record.message == "identify.forced"]) == 2


async def test_with_nothing_left_the_next_service_resumes_all_and_identifies_none(connect_to, tmp_path):
    state_url = f"sqlite:///{tmp_path}/kept.db"
    async with discord_with(1003 - 800, limit=1000) as discord:
        async with connect_to(discord, state_url=state_url) as supervisor:
            await discord.wait_for_shards([0, 1, 2])
            await until(lambda: supervisor.snapshot().identify_budget.remaining == 200)
        discord.hub.budget.remaining = 0
        async with connect_to(discord, state_url=state_url) as supervisor:
            await discord.wait_for_shards([0, 1, 2])
            await until(lambda: [shard.resumes for shard in supervisor.snapshot().shards] == [1, 1, 1])

            assert supervisor.snapshot().identify_budget.remaining == 0

        assert len(identified(discord)) == 3


async def test_processes_that_die_after_each_identify_are_slowed(supervise, journal):
    policy = {"max_exits": 1000, "window_s": 1.0}
    async with supervise("--identify", "--exit-after-identify", policy=policy, shard_count=1) as supervisor:
        await until(lambda: waiting(supervisor) == [0])

        assert supervisor.snapshot().identify_budget.spent == len(journal("permit"))
    async with supervise("--identify", "--exit-after-identify", policy=policy, shard_count=1) as supervisor:
        await until(lambda: waiting(supervisor) == [0])
