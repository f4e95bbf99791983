import json
import time

import pytest

from gateway_service.protocol.constants import ALL_INTENTS, Intents
from gateway_service.simulator.guilds import World
from gateway_service.simulator.payloads import GENERATED_EVENTS, Templates

WORLD = World(bot_id=9, guilds=2, members_per_guild=5)
GUILD = WORLD.guild_ids[1]
GUILD_ONLY = {"PRESENCE_UPDATE", "VOICE_STATE_UPDATE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE"}


def templates(**settings):
    return Templates(WORLD, **({"seed": 0, "message_bytes": 1000} | settings))


@pytest.mark.parametrize("event", sorted(GENERATED_EVENTS))
def test_every_generated_event_is_json_of_its_guild(event):
    full, _ = templates().get(event, GUILD, 0)
    assert json.loads(full.text(7))["guild_id"] == str(GUILD)


@pytest.mark.parametrize("event", sorted(GENERATED_EVENTS - GUILD_ONLY))
def test_a_direct_one_has_no_guild(event):
    full, _ = templates().get(event, None, 0)
    assert "guild_id" not in json.loads(full.text(7))


def test_each_message_has_its_own_id():
    full, _ = templates().get("MESSAGE_CREATE", GUILD, 0)
    assert [json.loads(full.text(number))["id"] for number in (7, 8)] == ["7", "8"]


@pytest.mark.parametrize("message_bytes", [1000, 2000])
def test_a_message_has_about_the_size_asked_for(message_bytes):
    full, _ = templates(message_bytes=message_bytes).get("MESSAGE_CREATE", GUILD, 0)
    assert message_bytes * 0.95 < len(full.text(10**18)) < message_bytes * 1.05


def test_contents_differ_and_the_seed_decides_them():
    def texts(seed):
        return [templates(seed=seed).get("MESSAGE_CREATE", GUILD, number)[0].text(1) for number in range(3)]

    assert len(set(texts(0))) == 3
    assert texts(0) == texts(0) != texts(1)


def test_the_bare_message_differs_only_in_its_content():
    full, bare = (json.loads(template.text(1)) for template in templates().get("MESSAGE_CREATE", GUILD, 0))
    assert {key for key in full if full[key] != bare[key]} == {"content"}


def test_an_event_that_is_not_generated_is_an_error():
    with pytest.raises(KeyError):
        templates().get("BRAND_NEW_EVENT", GUILD, 0)


@pytest.fixture
def bare_session(discord):
    """A session without MESSAGE_CONTENT."""
    connection = discord.dial()
    discord.identify(connection, intents=int(ALL_INTENTS & ~Intents.MESSAGE_CONTENT))
    connection.session.cursor = connection.session.last_seq
    return connection


def test_a_fresh_id_is_a_snowflake_of_this_moment(discord):
    """Handlers let go of interactions whose id is three seconds old."""
    first, second = discord.hub.next_id(), discord.hub.next_id()

    made_at = (first >> 22) / 1000 + 1_420_070_400
    assert first < second
    assert made_at == pytest.approx(time.time(), abs=2)


def test_content_is_hidden_without_its_intent(discord, bare_session):
    guild_id = discord.hub.world.guild_ids[0]
    discord.hub.generate("MESSAGE_CREATE", guild_id)
    discord.hub.dispatch("MESSAGE_CREATE", {"guild_id": str(guild_id), "content": "x", "author": {"id": "1"}})
    assert [dispatch["d"]["content"] for dispatch in discord.dispatches(bare_session)] == ["", ""]


@pytest.mark.parametrize(
    "about",
    [{"author": {"id": "BOT"}}, {"mentions": [{"id": "BOT"}]}, {"guild_id": None, "author": {"id": "1"}}],
    ids=["own", "mention", "direct"],
)
def test_content_is_kept_in_own_direct_and_mentioning_messages(discord, bare_session, about):
    bot_id, guild_id = str(discord.hub.config.bot_id), str(discord.hub.world.guild_ids[0])
    message = json.loads(json.dumps({"guild_id": guild_id, "content": "x"} | about).replace("BOT", bot_id))
    discord.hub.dispatch("MESSAGE_CREATE", message)
    assert discord.dispatches(bare_session)[0]["d"]["content"] == "x"
