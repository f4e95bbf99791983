import pytest

from gateway_service.simulator.traffic import Pace, Traffic


def test_a_rate_allows_what_time_brings():
    pace = Pace(64.0, now=10.0)
    assert pace.due(10.0) == 0
    assert pace.due(10.5) == 32
    pace.spend(32)
    assert pace.due(10.5078125) == 0
    assert pace.due(10.515625) == 1


def test_a_pause_is_not_made_up_for():
    pace = Pace(100.0, now=0.0)
    assert pace.due(1000.0) == 256


@pytest.mark.parametrize("shards", [1, 4])
async def test_every_guild_has_its_turn(make_discord, shards):
    discord = make_discord(identify_window_s=0)
    connections = [discord.dial() for _ in range(shards)]
    for shard_id, connection in enumerate(connections):
        discord.identify(connection, [shard_id, shards])
        connection.session.cursor = connection.session.last_seq

    assert await Traffic(discord.hub).run(rate=None, total=40) == 40

    guilds = [d["d"]["guild_id"] for connection in connections for d in discord.dispatches(connection)]
    assert {guilds.count(str(guild_id)) for guild_id in discord.hub.world.guild_ids} == {10}


async def test_what_no_session_wants_is_not_counted(make_discord):
    discord = make_discord()
    connection = discord.dial()
    discord.identify(connection, intents=1)
    traffic = Traffic(discord.hub, {"TYPING_START": 1})
    assert traffic._burst(10, max_backlog=100) == 0


async def test_traffic_stops_before_a_replay_buffer_overflows(make_discord):
    discord = make_discord(replay_capacity=20)
    connection = discord.dial()
    discord.identify(connection)
    traffic = Traffic(discord.hub)
    made = [traffic._burst(5, traffic._max_backlog) for _ in range(5)]
    assert sum(made) < 20
    assert made[-1] == 0
    assert connection.session.floor == 0
