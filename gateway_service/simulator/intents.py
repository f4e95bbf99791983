"""Which intents let a dispatch through, and which guild it belongs to.

See Discord: events/gateway#list-of-intents.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway_service.protocol.constants import Intents

_NONE: Final = Intents(0)

# (intent inside a guild, intent outside of one, events)
_ROWS: Final = (
    (
        Intents.GUILDS,
        Intents.GUILDS,
        """
        GUILD_CREATE GUILD_UPDATE GUILD_DELETE GUILD_ROLE_CREATE GUILD_ROLE_UPDATE GUILD_ROLE_DELETE
        CHANNEL_CREATE CHANNEL_UPDATE CHANNEL_DELETE THREAD_CREATE THREAD_UPDATE THREAD_DELETE
        THREAD_LIST_SYNC THREAD_MEMBER_UPDATE STAGE_INSTANCE_CREATE STAGE_INSTANCE_UPDATE
        STAGE_INSTANCE_DELETE VOICE_CHANNEL_STATUS_UPDATE VOICE_CHANNEL_START_TIME_UPDATE
    """,
    ),
    (Intents.GUILDS, Intents.DIRECT_MESSAGES, "CHANNEL_PINS_UPDATE"),
    (Intents.GUILDS | Intents.GUILD_MEMBERS, _NONE, "THREAD_MEMBERS_UPDATE"),
    (Intents.GUILD_MEMBERS, _NONE, "GUILD_MEMBER_ADD GUILD_MEMBER_UPDATE GUILD_MEMBER_REMOVE"),
    (Intents.GUILD_MODERATION, _NONE, "GUILD_AUDIT_LOG_ENTRY_CREATE GUILD_BAN_ADD GUILD_BAN_REMOVE"),
    (
        Intents.GUILD_EXPRESSIONS,
        _NONE,
        """
        GUILD_EMOJIS_UPDATE GUILD_STICKERS_UPDATE GUILD_SOUNDBOARD_SOUND_CREATE
        GUILD_SOUNDBOARD_SOUND_UPDATE GUILD_SOUNDBOARD_SOUND_DELETE GUILD_SOUNDBOARD_SOUNDS_UPDATE
    """,
    ),
    (
        Intents.GUILD_INTEGRATIONS,
        _NONE,
        "GUILD_INTEGRATIONS_UPDATE INTEGRATION_CREATE INTEGRATION_UPDATE INTEGRATION_DELETE",
    ),
    (Intents.GUILD_WEBHOOKS, _NONE, "WEBHOOKS_UPDATE"),
    (Intents.GUILD_INVITES, Intents.GUILD_INVITES, "INVITE_CREATE INVITE_DELETE"),
    (Intents.GUILD_VOICE_STATES, Intents.GUILD_VOICE_STATES, "VOICE_STATE_UPDATE VOICE_CHANNEL_EFFECT_SEND"),
    (Intents.GUILD_PRESENCES, _NONE, "PRESENCE_UPDATE"),
    (
        Intents.GUILD_MESSAGES,
        Intents.DIRECT_MESSAGES,
        "MESSAGE_CREATE MESSAGE_UPDATE MESSAGE_DELETE MESSAGE_DELETE_BULK",
    ),
    (
        Intents.GUILD_MESSAGE_REACTIONS,
        Intents.DIRECT_MESSAGE_REACTIONS,
        """
        MESSAGE_REACTION_ADD MESSAGE_REACTION_REMOVE MESSAGE_REACTION_REMOVE_ALL
        MESSAGE_REACTION_REMOVE_EMOJI
    """,
    ),
    (Intents.GUILD_MESSAGE_TYPING, Intents.DIRECT_MESSAGE_TYPING, "TYPING_START"),
    (
        Intents.GUILD_SCHEDULED_EVENTS,
        _NONE,
        """
        GUILD_SCHEDULED_EVENT_CREATE GUILD_SCHEDULED_EVENT_UPDATE GUILD_SCHEDULED_EVENT_DELETE
        GUILD_SCHEDULED_EVENT_USER_ADD GUILD_SCHEDULED_EVENT_USER_REMOVE
    """,
    ),
    (
        Intents.AUTO_MODERATION_CONFIGURATION,
        _NONE,
        "AUTO_MODERATION_RULE_CREATE AUTO_MODERATION_RULE_UPDATE AUTO_MODERATION_RULE_DELETE",
    ),
    (Intents.AUTO_MODERATION_EXECUTION, _NONE, "AUTO_MODERATION_ACTION_EXECUTION"),
    (Intents.GUILD_MESSAGE_POLLS, Intents.DIRECT_MESSAGE_POLLS, "MESSAGE_POLL_VOTE_ADD MESSAGE_POLL_VOTE_REMOVE"),
)

_INTENTS_OF: Final[Mapping[tuple[str, bool], int]] = {
    (event, in_guild): int(guild_intent if in_guild else direct_intent)
    for guild_intent, direct_intent, events in _ROWS
    for event in events.split()
    for in_guild in (True, False)
}

_ID_IS_THE_GUILD: Final = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})
# These name a guild and still arrive on shard 0. See Discord: events/gateway#sharding.
_ALWAYS_SHARD_0: Final = (
    "ENTITLEMENT_",
    "SUBSCRIPTION_",
)


def is_wanted(event: str, intents: int, *, in_guild: bool) -> bool:
    """Tell whether a session with ``intents`` gets this dispatch; events without an intent always pass."""
    needed = _INTENTS_OF.get((event, in_guild))
    return needed is None or bool(needed & intents)


def guild_of(event: str, data: Any) -> int | None:
    """Return the guild whose shard receives this dispatch, or None for shard 0."""
    if not isinstance(data, Mapping) or event.startswith(_ALWAYS_SHARD_0):
        return None
    value = data.get("guild_id")
    if value is None and event in _ID_IS_THE_GUILD:
        value = data.get("id")
    if value is None and event == "RATE_LIMITED":
        meta = data.get("meta")
        value = meta.get("guild_id") if isinstance(meta, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        guild_id = int(value)
    except ValueError:
        return None
    return guild_id if guild_id >= 0 else None
