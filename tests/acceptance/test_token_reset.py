"""The runbook for a reset token in docs/reliability.md, step by step, while the broker is away and the spool moves."""

import asyncio
import shutil
import subprocess
import sys
from contextlib import closing

import pytest

from gateway_service.embedded import PrivateValkey
from gateway_service.errors import EX_CONFIG
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.simulator.faults import ResetToken
from tests.acceptance.chaos.queues import Queues
from tests.support.secrecy import seen
from tests.support.service import running_service
from tests.support.waiting import until

SHARDS = (0, 1)
EVENTS = ("READY", "GUILD_CREATE", "MESSAGE_CREATE", "GATEWAY_GAP")


def identifies(simulator):
    return len(simulator.transcript.payloads(Opcode.IDENTIFY))


async def ended(service):
    return await asyncio.to_thread(service.process.wait)


def ledger_exit_code(service):
    command = [sys.executable, "-m", "gateway_service", "ledger"]
    done = subprocess.run(command, env=service.environment, capture_output=True, text=True, check=False)
    seen(done.stdout + done.stderr)
    return done.returncode


@pytest.mark.usefixtures("valkey")  # which skips where there is no server
async def test_a_reset_token_costs_an_identify_and_a_gap_for_each_shard_and_nothing_that_was_received(tmp_path):
    config = SimulatorConfig(shards=len(SHARDS), guilds=4, max_concurrency=2, identify_window_s=0.0)
    with PrivateValkey() as broker:
        async with Simulator(config) as simulator:
            new_token = simulator.token.replace("simulated", "new")
            with (
                closing(Queues(broker.url, EVENTS)) as queues,
                running_service(simulator, broker.url, tmp_path, "--processes", "1") as service,
            ):
                await simulator.wait_for_shards(SHARDS)
                await asyncio.to_thread(broker.stop)
                await simulator.traffic(total=50)
                await simulator.wait_for_shards(SHARDS)
                received = simulator.sent_ids()

                simulator.inject(ResetToken(new_token))
                assert await ended(service) == EX_CONFIG
                assert "with 4004: the bot token is wrong or was reset" in service.log
                assert "DISCORD_TOKEN" in service.log
                assert f"the broker at {broker.url} is not available" in service.log

                # The step for a spool that gets another disk.
                shutil.move(tmp_path / "spool", tmp_path / "large")
                service.environment["GATEWAY_SPOOL_DIR"] = str(tmp_path / "large")
                await asyncio.to_thread(broker.start)
                service.start()
                assert await ended(service) == EX_CONFIG
                assert identifies(simulator) == len(SHARDS)

                service.environment["DISCORD_TOKEN"] = new_token
                service.start()
                await simulator.wait_for_shards(SHARDS)
                assert identifies(simulator) == 2 * len(SHARDS)

                def has_all():
                    queues.read()
                    return received <= queues.counts.keys() and len(queues.bodies) == len(SHARDS)

                await until(has_all)
                assert sorted(gap["shard"] for gap in queues.bodies.values()) == [[0, 2], [1, 2]]
                assert await asyncio.to_thread(service.stop) == 0  # beside the loop that carries its connections
                assert new_token not in service.log
                assert await asyncio.to_thread(ledger_exit_code, service) == 0
