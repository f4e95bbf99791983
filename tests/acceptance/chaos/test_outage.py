"""The broker goes away and comes back. By hand for as long as it matters: ``--outage-seconds 300``."""

import asyncio
from collections import defaultdict
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.acceptance.chaos.queues import Queues
from tests.support.service import running_service
from tests.support.waiting import until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]

SHARDS = 8
HEARTBEAT_S = 5.0
# A shard process without dispatches has 90 MB, and the outbox 64 MiB of its own.
MAX_RSS_BYTES = 256 * 1024 * 1024
_DRAIN_TIMEOUT_S = 300.0
_POLL_S = 0.2


def rss_bytes(pid: int) -> int:
    """Return the most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def assert_in_order(ids: list[str]) -> None:
    """Fail when a dispatch comes behind a later one of its session, repeats left out."""
    seen: dict[str, int] = defaultdict(int)
    known = set()
    for each in ids:
        session, _, seq = each.partition("-")
        if each not in known:
            known.add(each)
            assert int(seq) > seen[session], f"{each} comes behind {seen[session]}"
            seen[session] = int(seq)


def assert_no_heartbeat_missed(simulator: Simulator) -> None:
    for shard_id in range(SHARDS):
        beats = [record.at for record in simulator.transcript.payloads(Opcode.HEARTBEAT, shard_id=shard_id)]
        assert max(later - earlier for earlier, later in pairwise(beats)) < 2 * HEARTBEAT_S


async def test_a_broker_that_is_away_costs_time_and_nothing_else(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    config = SimulatorConfig(
        shards=SHARDS,
        guilds=10 * SHARDS,
        max_concurrency=SHARDS,
        heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
        replay_ttl_s=30.0,  # far less than a long outage: what helps is the disk
        transcript_limit=1_000_000,
    )
    rate: float = pytestconfig.getoption("chaos_rate")
    flags = ("--shard-count", str(SHARDS), "--processes", "2")
    async with Simulator(config) as simulator:
        with (
            closing(Queues(rabbitmq_url, ["MESSAGE_CREATE"])) as queue,
            running_service(simulator, rabbitmq_url, tmp_path, *flags) as service,
        ):
            await simulator.wait_for_shards(range(SHARDS))
            traffic = asyncio.create_task(simulator.traffic(rate))
            await until(lambda: simulator.sent.by_event["MESSAGE_CREATE"] > rate)
            pids = service.shard_pids()
            await asyncio.to_thread(rabbitmq.stop)
            await asyncio.sleep(pytestconfig.getoption("outage_seconds"))
            await asyncio.to_thread(rabbitmq.start)
            back_at = simulator.sent.total
            await until(lambda: simulator.sent.total > back_at + rate)
            traffic.cancel()

            def is_complete() -> bool:
                queue.read()
                return len(set(queue.ids)) >= simulator.sent.by_event["MESSAGE_CREATE"]

            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                while not await asyncio.to_thread(is_complete):
                    await asyncio.sleep(_POLL_S)

            assert len(set(queue.ids)) == simulator.sent.by_event["MESSAGE_CREATE"]
            assert_in_order(queue.ids)
            assert_no_heartbeat_missed(simulator)
            assert len(simulator.transcript.payloads(Opcode.IDENTIFY)) == SHARDS
            assert simulator.transcript.payloads(Opcode.RESUME) == []
            assert service.shard_pids() == pids
            assert max(map(rss_bytes, pids)) < MAX_RSS_BYTES
            assert service.stop() == 0
