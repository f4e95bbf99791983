"""32 shards of one bot, in two processes, take turns as Discord demands."""

from pathlib import Path

from gateway_service.protocol.constants import IDENTIFY_WINDOW_S, Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.service import running_service

SHARDS = 32
MAX_CONCURRENCY = 16


async def test_32_shards_identify_in_order_and_never_too_fast(valkey_url: str, tmp_path: Path) -> None:
    config = SimulatorConfig(shards=SHARDS, guilds=64, max_concurrency=MAX_CONCURRENCY)  # which the simulator enforces
    async with Simulator(config) as simulator:
        with running_service(
            simulator, valkey_url, tmp_path, "--shard-count", str(SHARDS), "--processes", "2"
        ) as service:
            await simulator.wait_for_shards(range(SHARDS))

            turns = [record.shard_id for record in simulator.transcript.payloads(Opcode.IDENTIFY)]
            assert len(turns) == SHARDS
            assert set(turns[:MAX_CONCURRENCY]) == set(range(MAX_CONCURRENCY))
            simulator.transcript.assert_identifies_paced(max_concurrency=MAX_CONCURRENCY, window_s=IDENTIFY_WINDOW_S)
            simulator.transcript.assert_no_violations()
            assert service.stop() == 0
