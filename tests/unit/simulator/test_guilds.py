import pytest

from gateway_service.protocol.constants import ALL_INTENTS, Intents, shard_id_of
from gateway_service.simulator.guilds import World

WORLD = World(bot_id=9, guilds=8, members_per_guild=100)
GUILD = WORLD.guild_ids[0]


def test_guilds_spread_evenly_over_shards():
    counts = [sum(shard_id_of(guild_id, 4) == shard_id for guild_id in WORLD.guild_ids) for shard_id in range(4)]
    assert counts == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("channel_id", "guild_id"),
    [(WORLD.text_channel_id(GUILD), GUILD), (WORLD.voice_channel_id(GUILD), GUILD), (GUILD, None), (77, None)],
)
def test_a_channel_leads_back_to_its_guild(channel_id, guild_id):
    assert WORLD.guild_of_channel(channel_id) == guild_id


@pytest.mark.parametrize("index", [0, 1, 100])
def test_a_user_id_leads_back_to_its_member(index):
    assert WORLD.index_of_member(WORLD.member_id(index)) == index


@pytest.mark.parametrize("user_id", [0, 5, WORLD.member_id(101), WORLD.member_id(1) + 1])
def test_a_stranger_is_no_member(user_id):
    assert WORLD.index_of_member(user_id) is None


def listed(intents, large_threshold):
    guild = WORLD.guild_create(GUILD, intents=int(intents), large_threshold=large_threshold)
    assert guild["member_count"] == 101
    return len(guild["members"]), len(guild["presences"]), guild["large"]


def test_without_the_presences_intent_only_the_bot_is_listed():
    assert listed(ALL_INTENTS & ~Intents.GUILD_PRESENCES, 250) == (1, 0, False)


def test_a_small_guild_lists_everyone():
    assert listed(ALL_INTENTS, 250) == (101, 100, False)


def test_a_large_guild_lists_only_the_online_ones():
    assert listed(ALL_INTENTS, 50) == (50, 49, True)


@pytest.mark.parametrize("key", ["id", "name", "owner_id", "roles", "channels", "emojis", "stickers", "features"])
def test_a_guild_is_complete(key):
    assert key in WORLD.guild_create(GUILD, intents=0, large_threshold=50)


def test_a_role_has_permissions_as_text_and_three_colors():
    role = WORLD.role(GUILD, 0)
    assert isinstance(role["permissions"], str)
    assert set(role["colors"]) == {"primary_color", "secondary_color", "tertiary_color"}


def test_a_direct_channel_has_recipients():
    assert WORLD.channel(77, guild_id=None)["type"] == 1
