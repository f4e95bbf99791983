"""A process that is restarted on request; the processes are stand-ins."""

import asyncio

import pytest

from gateway_service.errors import ShardUnavailable
from tests.support.waiting import until


async def running(supervisor):
    await until(lambda: supervisor.snapshot().processes[0].state == "RUNNING")
    return supervisor.snapshot().processes[0]


async def test_a_process_drains_and_another_takes_its_shards(supervise, journal):
    async with supervise() as supervisor:
        first = await running(supervisor)
        await supervisor.fleet.restart_process(0)
        second = await running(supervisor)

    assert second.pid != first.pid
    assert second.restarts == 0
    assert [entry["shard_ids"] for entry in journal("configured")] == [[0, 1], [0, 1]]


async def test_a_process_that_starts_is_not_restarted(supervise):
    async with supervise() as supervisor:
        with pytest.raises(ShardUnavailable, match=r"its process is ST(ARTING|OPPED)"):
            await supervisor.fleet.restart_process(0)


async def test_a_service_that_stops_does_not_start_it_again(supervise):
    async with supervise() as supervisor:
        await running(supervisor)
        restarting = asyncio.create_task(supervisor.fleet.restart_process(0))
        await asyncio.sleep(0)
        supervisor.request_stop("a test")
        with pytest.raises(ShardUnavailable, match="its process is STOPPED"):
            await restarting
