"""The state store may lose keys, or goes away under a running supervisor with real shard processes."""

import os
import signal
from contextlib import closing

import pytest

from gateway_service.embedded import PrivateValkey
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.state import Namespace, open_state
from tests.support.waiting import until


@pytest.mark.usefixtures("valkey")  # which skips where there is no server
async def test_a_shard_process_that_meets_no_store_waits_for_it_and_resumes(connect_to):
    config = SimulatorConfig(shards=2, max_concurrency=2)
    with PrivateValkey() as store:
        async with Simulator(config) as discord, connect_to(discord, state_url=store.url, processes=2) as supervisor:
            with closing(open_state(store.url, Namespace.of(discord.token, 2))) as state:
                await until(lambda: state.load(0))
            await until(lambda: supervisor.snapshot().shards[0].identifies == 1)
            store.stop()
            os.kill(supervisor.snapshot().processes[0].pid, signal.SIGKILL)
            await until(lambda: supervisor.snapshot().processes[0].last_exit == "exit code 69")
            assert supervisor.snapshot().processes[1].restarts == 0

            store.start()
            await until(lambda: supervisor.snapshot().shards[0].resumes == 1)

            assert supervisor.snapshot().shards[0].identifies == 1


async def test_a_start_warns_of_a_store_that_evicts(connect_to, evicting_url, caplog):
    async with Simulator(SimulatorConfig(shards=1)) as discord, connect_to(discord, state_url=evicting_url):
        assert [record.levelname for record in caplog.records if record.message == "state.evicts"] == ["WARNING"]
