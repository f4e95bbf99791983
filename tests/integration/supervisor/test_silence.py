"""A deaf session of real shard processes is found, resumed, and opened anew."""

from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.waiting import until

# A window has to be longer than the second between two reports.
FAST = {"silence_window_s": 1.6, "silence_min_history": 4, "silence_surprise": 6.0}


async def test_a_session_that_lost_its_intents_is_replaced_and_the_others_are_left_alone(connect_to, caplog):
    caplog.set_level("INFO", "gateway_service.supervisor")
    async with Simulator(SimulatorConfig(shards=3, max_concurrency=3, identify_window_s=0.0, guilds=9)) as discord:
        async with connect_to(discord, policy=FAST, processes=1) as supervisor:
            await discord.wait_for_shards([0, 1, 2])
            discord.start_traffic(60)
            await until(lambda: all(shard.heard > 150 for shard in supervisor.snapshot().shards))

            discord.lose_intents(1)

            await until(lambda: supervisor.snapshot().silences.get("healed"))
            assert supervisor.snapshot().silences == {"resume": 1, "identify": 1, "healed": 1, "given_up": 0}
            await until(lambda: supervisor.snapshot().shards[1].reason is None)
            await discord.stop_traffic()

        said = discord.transcript.payloads
        assert [record.shard_id for record in said(Opcode.IDENTIFY)][3:] == [1]
        assert len(said(Opcode.RESUME)) == 1
    told = [(r.message, r.event_fields["shard_id"]) for r in caplog.records if r.message.startswith("shard.")]
    assert [each for each in told if each[0] != "shard.restarting"] == [
        ("shard.silent", 1),
        ("shard.silent", 1),
        ("shard.healed", 1),
    ]
