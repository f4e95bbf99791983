"""A service that ends while one of its shards begins a session, on real processes and a simulator."""

import sqlite3
import threading
import time
from contextlib import closing

from gateway_service.protocol.constants import IDENTIFY_SPACING_S, Opcode
from gateway_service.simulator import LimitBandwidth, Simulator, SimulatorConfig
from tests.support.waiting import until


async def test_the_answer_to_an_identify_is_waited_for_and_its_session_resumed(connect_to, tmp_path):
    asked, answered = threading.Event(), threading.Event()

    def presence(_shard_id):
        asked.set()
        answered.wait()
        return {"status": "idle"}

    async with Simulator(SimulatorConfig(shards=1)) as discord:

        def sent(opcode):
            return len(discord.transcript.payloads(opcode))

        def free_at():
            with closing(sqlite3.connect(tmp_path / "state.db")) as store:
                return store.execute("SELECT free_at FROM identifies").fetchone()[0]

        policy = {"drain_timeout_s": 60.0, "kill_after_s": 90.0}
        async with connect_to(discord, policy=policy, shard_count=1, presence=presence) as supervisor:
            await until(asked.is_set)
            discord.inject(LimitBandwidth(bytes_per_s=150))
            answered.set()
            await until(lambda: sent(Opcode.IDENTIFY) == 1)
            assert supervisor.snapshot().shards[0].session is None
            await until(lambda: free_at() < time.time() + IDENTIFY_SPACING_S)
            free_after_sending = free_at()

        assert free_at() > free_after_sending  # the next service waits for as long after the answer as this one would

        async with connect_to(discord, shard_count=1):
            await discord.wait_for_shards([0])

        assert (sent(Opcode.IDENTIFY), sent(Opcode.RESUME)) == (1, 1)
        discord.transcript.assert_sessions_kept()
        discord.transcript.assert_no_violations()
