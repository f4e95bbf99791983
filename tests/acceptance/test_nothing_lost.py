"""The promise, on real processes: what Discord sent was executed, whatever was killed meanwhile."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gateway_service.dev.executions import ExecutionCounter
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.brokers import VhostPool
from tests.support.service import Service, running_service
from tests.support.waiting import until
from tests.support.worker import Worker, running_worker

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SHARDS = 4
START_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Bot:
    """Everything that runs in these tests."""

    simulator: Simulator
    worker: Worker
    service: Service
    counter: ExecutionCounter
    """What the worker recorded."""

    def sent(self, event: str) -> int:
        return self.simulator.sent.by_event[event]

    def identifies(self) -> int:
        return len(self.simulator.transcript.payloads(Opcode.IDENTIFY))

    async def everything_executed(self) -> None:
        while missing := self.simulator.dispatched_ids() - self.counter.runs.keys():
            await until(lambda missing=missing: self._executed(missing))

    def _executed(self, ids: set[str]) -> bool:
        self.counter.refresh()
        return ids <= self.counter.runs.keys()

    async def kill_random_shard_process(self, rng: random.Random) -> None:
        await until(lambda: len(self.service.shard_pids()) == 2)
        os.kill(rng.choice(self.service.shard_pids()), signal.SIGKILL)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(
    rabbitmq: PrivateRabbitMQ, rabbitmq_vhosts: VhostPool, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bot]:
    """Run Discord's double, a worker that counts, and a service in two processes, for every test of this file."""
    rabbitmq.start()
    broker_url, directory = rabbitmq_vhosts.take(), tmp_path_factory.mktemp("nothing-lost")
    config = SimulatorConfig(shards=SHARDS, guilds=40, max_concurrency=SHARDS, message_bytes=300)
    flags = ("--shard-count", str(SHARDS), "--processes", "2")
    async with Simulator(config) as simulator:
        with (
            running_worker(broker_url, directory / "worker", "tests.support.counting_tasks", "-P", "solo") as worker,
            running_service(simulator, broker_url, directory / "service", *flags) as service,
        ):
            await simulator.wait_for_shards(range(SHARDS), timeout_s=START_TIMEOUT_S)
            await until(worker.record.exists)
            yield Bot(simulator, worker, service, ExecutionCounter(worker.record))
            assert service.stop() == 0


async def test_four_kills_of_shard_processes_lose_nothing(bot: Bot) -> None:
    rng = random.Random(20_000)
    before = bot.sent("MESSAGE_CREATE")
    traffic = asyncio.create_task(bot.simulator.traffic(2500, 20_000))
    for _ in range(4):
        await asyncio.sleep(rng.uniform(0.5, 2.0))  # the random moment is what is tested
        await bot.kill_random_shard_process(rng)
    await traffic

    await bot.everything_executed()

    assert bot.sent("MESSAGE_CREATE") - before == 20_000
    assert bot.counter.runs.keys() <= bot.simulator.sent_ids()  # so whatever ran twice has an equal id
    assert bot.identifies() == SHARDS


async def test_a_broker_restarted_in_mid_flow_loses_nothing(bot: Bot, rabbitmq: PrivateRabbitMQ) -> None:
    total = bot.simulator.sent.total
    traffic = asyncio.create_task(bot.simulator.traffic(1000, 10_000))
    await until(lambda: bot.simulator.sent.total > total + 2000)
    await asyncio.to_thread(rabbitmq.restart)
    await traffic

    await bot.everything_executed()

    assert bot.identifies() == SHARDS


@pytest.mark.parametrize("end", [Service.stop, Service.kill_everything], ids=["stop", "kill -9 of everything"])
async def test_a_restart_of_the_service_resumes_every_shard(bot: Bot, end: Callable[[Service], object]) -> None:
    await bot.simulator.wait_for_shards(range(SHARDS), timeout_s=START_TIMEOUT_S)
    total, resumed = bot.simulator.sent.total, bot.sent("RESUMED")
    traffic = asyncio.create_task(bot.simulator.traffic(500, 2000))
    await until(lambda: bot.simulator.sent.total > total + 800)
    await asyncio.to_thread(end, bot.service)
    bot.service.start()
    await traffic

    await bot.everything_executed()

    assert bot.identifies() == SHARDS
    assert bot.sent("RESUMED") - resumed == SHARDS


async def test_a_broker_that_hangs_does_not_hold_up_a_stop(bot: Bot, rabbitmq: PrivateRabbitMQ) -> None:
    await bot.simulator.wait_for_shards(range(SHARDS), timeout_s=START_TIMEOUT_S)
    total = bot.simulator.sent.total
    traffic = asyncio.create_task(bot.simulator.traffic(100))
    await until(lambda: bot.simulator.sent.total > total + 300)
    rabbitmq.freeze()
    try:
        assert await asyncio.to_thread(bot.service.stop) == 0  # fails when it takes far longer than ten seconds
    finally:
        rabbitmq.thaw()
    traffic.cancel()
    bot.service.start()

    await bot.everything_executed()

    assert bot.identifies() == SHARDS
