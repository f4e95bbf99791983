import pytest

from gateway_service.protocol.constants import Intents
from gateway_service.simulator.intents import guild_of, is_wanted


@pytest.mark.parametrize(
    ("event", "in_guild", "intent"),
    [
        ("GUILD_CREATE", True, Intents.GUILDS),
        ("MESSAGE_CREATE", True, Intents.GUILD_MESSAGES),
        ("MESSAGE_CREATE", False, Intents.DIRECT_MESSAGES),
        ("TYPING_START", False, Intents.DIRECT_MESSAGE_TYPING),
        ("GUILD_MEMBER_ADD", True, Intents.GUILD_MEMBERS),
        ("THREAD_MEMBERS_UPDATE", True, Intents.GUILDS),
        ("THREAD_MEMBERS_UPDATE", True, Intents.GUILD_MEMBERS),
        ("MESSAGE_POLL_VOTE_ADD", True, Intents.GUILD_MESSAGE_POLLS),
    ],
)
def test_a_dispatch_comes_with_its_intent_and_not_without(event, in_guild, intent):
    assert is_wanted(event, int(intent), in_guild=in_guild)
    assert not is_wanted(event, 0, in_guild=in_guild)


@pytest.mark.parametrize("event", ["READY", "RESUMED", "INTERACTION_CREATE", "USER_UPDATE", "BRAND_NEW_EVENT"])
def test_some_dispatches_need_no_intent(event):
    assert is_wanted(event, 0, in_guild=False)


@pytest.mark.parametrize(
    ("event", "data", "guild_id"),
    [
        ("MESSAGE_CREATE", {"guild_id": "42"}, 42),
        ("MESSAGE_CREATE", {"guild_id": 42}, 42),
        ("MESSAGE_CREATE", {"guild_id": None, "id": "42"}, None),
        ("MESSAGE_CREATE", {"message_reference": {"guild_id": "42"}}, None),
        ("MESSAGE_CREATE", {"guild_id": "x"}, None),
        ("MESSAGE_CREATE", {"guild_id": True}, None),
        ("MESSAGE_CREATE", {"guild_id": -5}, None),
        ("MESSAGE_CREATE", {"guild_id": ["42"]}, None),
        ("GUILD_CREATE", {"id": "42"}, 42),
        ("GUILD_DELETE", {"id": "42", "unavailable": True}, 42),
        ("VOICE_CHANNEL_STATUS_UPDATE", {"id": "42"}, None),
        ("RATE_LIMITED", {"meta": {"guild_id": "42"}}, 42),
        ("RATE_LIMITED", {"meta": None}, None),
        ("ENTITLEMENT_CREATE", {"guild_id": "42"}, None),
        ("ODD", None, None),
        ("ODD", ["42"], None),
    ],
)
def test_the_guild_decides_the_shard(event, data, guild_id):
    assert guild_of(event, data) == guild_id
