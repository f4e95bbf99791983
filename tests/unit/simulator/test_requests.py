import pytest

from gateway_service.protocol.constants import ALL_INTENTS, Intents
from gateway_service.simulator.faults import Abort, CutChunks, LimitRequest, Moment


@pytest.fixture
def shard(discord):
    """An identified connection whose greeting has been read."""
    connection = discord.dial()
    discord.identify(connection)
    connection.session.cursor = connection.session.last_seq
    return connection


@pytest.fixture
def guild_id(discord):
    return discord.hub.world.guild_ids[0]


def test_a_presence_is_remembered(discord, shard):
    assert discord.say(shard, 3, {"status": "dnd", "activities": [], "since": None, "afk": False}) == []
    assert discord.hub.presences[0]["status"] == "dnd"


@pytest.mark.parametrize(
    ("op", "data"),
    [
        (3, {"status": "sleeping"}),
        (3, []),
        (4, {}),
        (4, {"guild_id": "x", "channel_id": None}),
        (8, {"guild_id": "1"}),
        (8, {"guild_id": "1", "query": "", "limit": -1}),
        (8, {"guild_id": ["1", "2"], "query": "", "limit": 0}),
        (31, {"guild_ids": 5}),
        (43, {}),
        (43, {"guild_id": "1", "fields": ["mood"]}),
        (43, {"guild_id": "1", "fields": "status"}),
    ],
)
def test_a_malformed_command_is_closed_with_4001(discord, shard, op, data):
    [close] = discord.say(shard, op, data)
    assert close.code == 4001


def test_the_sixth_presence_in_20_seconds_is_a_violation(discord, shard):
    for _ in range(6):
        discord.say(shard, 3, {"status": "idle"})
    assert [record.data for record in discord.hub.transcript.violations()] == ["more than 5 presence updates in 20 s"]


def test_joining_voice_brings_state_and_server(discord, shard, guild_id):
    discord.say(
        shard, 4, {"guild_id": guild_id, "channel_id": str(guild_id + 2), "self_mute": True, "self_deaf": False}
    )
    state, server = discord.dispatches(shard)
    assert (state["t"], state["d"]["channel_id"], state["d"]["self_mute"]) == (
        "VOICE_STATE_UPDATE",
        str(guild_id + 2),
        True,
    )
    assert (server["t"], server["d"]["endpoint"]) == ("VOICE_SERVER_UPDATE", None)
    assert discord.hub.voice_channels == {guild_id: guild_id + 2}


def test_leaving_voice_brings_only_the_state(discord, shard, guild_id):
    discord.say(shard, 4, {"guild_id": str(guild_id), "channel_id": None, "self_mute": False, "self_deaf": False})
    assert [dispatch["t"] for dispatch in discord.dispatches(shard)] == ["VOICE_STATE_UPDATE"]
    assert discord.hub.voice_channels == {}


def request_members(discord, connection, guild_id, **fields):
    discord.say(connection, 8, {"guild_id": str(guild_id), "limit": 0} | fields)
    return [dispatch["d"] for dispatch in discord.dispatches(connection)]


def test_all_members_come_in_chunks_of_a_thousand(make_discord):
    discord = make_discord(members_per_guild=2500)
    connection = discord.dial()
    discord.identify(connection)
    connection.session.cursor = connection.session.last_seq
    chunks = request_members(discord, connection, discord.hub.world.guild_ids[0], query="", nonce="n")
    assert [(c["chunk_index"], c["chunk_count"], len(c["members"]), c["nonce"]) for c in chunks] == [
        (0, 3, 1000, "n"),
        (1, 3, 1000, "n"),
        (2, 3, 501, "n"),
    ]
    assert len({member["user"]["id"] for chunk in chunks for member in chunk["members"]}) == 2501


def test_members_can_be_asked_for_by_id(discord, shard, guild_id):
    known = str(discord.hub.world.member_id(3))
    [chunk] = request_members(discord, shard, guild_id, user_ids=[known, "17"])
    assert [member["user"]["id"] for member in chunk["members"]] == [known]
    assert chunk["not_found"] == ["17"]


def test_a_single_user_id_may_be_no_list(discord, shard, guild_id):
    [chunk] = request_members(discord, shard, guild_id, user_ids=discord.hub.world.member_id(1))
    assert len(chunk["members"]) == 1


def test_members_can_be_searched(discord, shard, guild_id):
    [chunk] = request_members(discord, shard, guild_id, query="grace", limit=10)
    assert [member["user"]["username"] for member in chunk["members"]] == ["grace-1"]


def test_a_search_that_finds_nobody_is_answered(discord, shard, guild_id):
    [chunk] = request_members(discord, shard, guild_id, query="zzz", limit=10)
    assert (chunk["members"], chunk["chunk_count"]) == ([], 1)


@pytest.mark.parametrize(("nonce", "answered"), [("x" * 32, True), ("x" * 33, False), (7, False)])
def test_a_nonce_that_is_too_long_is_dropped(discord, shard, guild_id, nonce, answered):
    [chunk] = request_members(discord, shard, guild_id, query="", limit=1, nonce=nonce)
    assert ("nonce" in chunk) is answered


def test_presences_come_when_asked_for(discord, shard, guild_id):
    [chunk] = request_members(discord, shard, guild_id, query="", presences=True)
    assert len(chunk["presences"]) == len(chunk["members"]) - 1


def test_presences_need_their_intent(make_discord):
    discord = make_discord()
    connection = discord.dial()
    discord.identify(connection, intents=int(ALL_INTENTS & ~Intents.GUILD_PRESENCES))
    connection.session.cursor = connection.session.last_seq
    [chunk] = request_members(discord, connection, discord.hub.world.guild_ids[0], query="", presences=True)
    assert "presences" not in chunk


def test_all_members_need_their_intent(make_discord):
    discord = make_discord()
    connection = discord.dial()
    discord.identify(connection, intents=int(Intents.GUILDS))
    connection.session.cursor = connection.session.last_seq
    assert request_members(discord, connection, discord.hub.world.guild_ids[0], query="") == []


def test_all_members_twice_in_30_seconds_is_rate_limited(discord, shard, guild_id):
    request_members(discord, shard, guild_id, query="")
    shard.session.cursor = shard.session.last_seq
    discord.now += 10
    [limited] = request_members(discord, shard, guild_id, query="", nonce="n")
    assert limited == {"opcode": 8, "retry_after": 20.0, "meta": {"guild_id": str(guild_id), "nonce": "n"}}
    shard.session.cursor = shard.session.last_seq
    discord.now += 20
    assert "members" in request_members(discord, shard, guild_id, query="")[0]


def test_an_unknown_guild_is_not_answered(discord, shard):
    assert request_members(discord, shard, 1, query="") == []


def test_a_request_may_be_rate_limited_at_will(discord, shard, guild_id):
    discord.hub.faults.arm(LimitRequest(retry_after_s=7.5), Moment.REQUEST)

    [limited] = request_members(discord, shard, guild_id, query="ada", limit=1)
    shard.session.cursor = shard.session.last_seq
    [chunk] = request_members(discord, shard, guild_id, query="ada", limit=1)

    assert limited["retry_after"] == 7.5
    assert "members" in chunk


def test_chunks_stop_where_the_connection_is_cut(make_discord):
    discord = make_discord(members_per_guild=2500)
    shard = discord.dial()
    discord.identify(shard)
    shard.session.cursor = shard.session.last_seq
    discord.hub.faults.arm(CutChunks(sent=2), Moment.REQUEST, shard_id=0)

    answer = discord.say(shard, 8, {"guild_id": str(discord.hub.world.guild_ids[0]), "query": "", "limit": 0})

    assert answer == [Abort()]
    assert [dispatch["d"]["chunk_index"] for dispatch in discord.dispatches(shard)] == [0, 1]


def test_sounds_come_per_guild_and_channel_info_once(discord, shard, guild_id):
    discord.say(shard, 31, {"guild_ids": [str(guild_id), str(guild_id + 1)]})
    discord.say(shard, 43, {"guild_id": str(guild_id), "fields": ["status"]})

    *sounds, info = discord.dispatches(shard)

    assert [dispatch["t"] for dispatch in sounds] == ["SOUNDBOARD_SOUNDS", "SOUNDBOARD_SOUNDS"]
    assert info["t"] == "CHANNEL_INFO"
    assert info["d"]["channels"] == [{"id": str(guild_id + 2), "status": "simulated"}]
