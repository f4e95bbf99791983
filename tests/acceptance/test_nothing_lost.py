"""The promise, on real processes: what Discord sent was executed, whatever was killed meanwhile."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway_service.dev.executions import ExecutionCounter
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.service import Service, running_service
from tests.support.waiting import until
from tests.support.worker import Worker, running_worker

pytestmark = pytest.mark.rabbitmq

SHARDS = 4


@dataclass(frozen=True)
class Bot:
    """Everything that runs in one of these tests."""

    simulator: Simulator
    worker: Worker
    service: Service

    def identifies(self) -> int:
        return len(self.simulator.transcript.payloads(Opcode.IDENTIFY))

    async def everything_executed(self) -> ExecutionCounter:
        """Wait until every dispatch was executed, and return what the worker recorded."""
        counter = ExecutionCounter(self.worker.record)

        def is_complete() -> bool:
            counter.refresh()
            return self.simulator.dispatched_ids() <= counter.runs.keys()

        await until(is_complete)
        return counter

    async def kill_random_shard_process(self, rng: random.Random) -> None:
        await until(lambda: len(self.service.shard_pids()) == 2)
        os.kill(rng.choice(self.service.shard_pids()), signal.SIGKILL)


@asynccontextmanager
async def running_bot(broker_url: str, directory: Path) -> AsyncIterator[Bot]:
    """Run Discord's double, a worker that counts, and a service in two processes, with every shard connected."""
    config = SimulatorConfig(shards=SHARDS, guilds=40, max_concurrency=SHARDS, message_bytes=300)
    flags = ("--shard-count", str(SHARDS), "--processes", "2")
    async with Simulator(config) as simulator:
        with (
            running_worker(broker_url, directory / "worker", "tests.support.counting_tasks", "-P", "solo") as worker,
            running_service(simulator, broker_url, directory / "service", *flags) as service,
        ):
            await simulator.wait_for_shards(range(SHARDS))
            yield Bot(simulator, worker, service)


async def test_four_kills_of_shard_processes_lose_nothing(rabbitmq_url: str, tmp_path: Path) -> None:
    rng = random.Random(20_000)
    async with running_bot(rabbitmq_url, tmp_path) as bot:
        traffic = asyncio.create_task(bot.simulator.traffic(2500, 20_000))
        for _ in range(4):
            await asyncio.sleep(rng.uniform(0.5, 2.0))  # the random moment is what is tested
            await bot.kill_random_shard_process(rng)
        await traffic

        counter = await bot.everything_executed()

        assert bot.simulator.sent.by_event["MESSAGE_CREATE"] == 20_000
        assert counter.runs.keys() <= bot.simulator.sent_ids()  # so whatever ran twice has an equal id
        assert bot.identifies() == SHARDS
        assert bot.service.stop() == 0


async def test_a_broker_restarted_in_mid_flow_loses_nothing(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str, tmp_path: Path
) -> None:
    async with running_bot(rabbitmq_url, tmp_path) as bot:
        traffic = asyncio.create_task(bot.simulator.traffic(1000, 10_000))
        await until(lambda: bot.simulator.sent.total > 2000)
        await asyncio.to_thread(rabbitmq.restart)
        await traffic

        await bot.everything_executed()

        assert bot.identifies() == SHARDS
        assert bot.service.stop() == 0


@pytest.mark.parametrize("end", [Service.stop, Service.kill_everything], ids=["stop", "kill -9 of everything"])
async def test_a_restart_of_the_service_resumes_every_shard(
    end: Callable[[Service], object], rabbitmq_url: str, tmp_path: Path
) -> None:
    async with running_bot(rabbitmq_url, tmp_path) as bot:
        traffic = asyncio.create_task(bot.simulator.traffic(500, 2000))
        await until(lambda: bot.simulator.sent.total > 800)
        await asyncio.to_thread(end, bot.service)
        bot.service.start()
        await traffic

        await bot.everything_executed()

        assert bot.identifies() == SHARDS
        assert bot.simulator.sent.by_event["RESUMED"] == SHARDS
        assert bot.service.stop() == 0


async def test_a_broker_that_hangs_does_not_hold_up_a_stop(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str, tmp_path: Path
) -> None:
    async with running_bot(rabbitmq_url, tmp_path) as bot:
        traffic = asyncio.create_task(bot.simulator.traffic(100))
        await until(lambda: bot.simulator.sent.total > 300)
        rabbitmq.freeze()
        try:
            assert await asyncio.to_thread(bot.service.stop) == 0  # fails when it takes far longer than ten seconds
        finally:
            rabbitmq.thaw()
        traffic.cancel()
        bot.service.start()

        await bot.everything_executed()

        assert bot.identifies() == SHARDS
        assert bot.service.stop() == 0
