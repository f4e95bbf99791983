"""Guilds and their members. See https://docs.discord.com/developers/resources/guild."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.channels import Channel, StageInstance
from gateway_service.events.expressions import Emoji, SoundboardSound, Sticker
from gateway_service.events.scheduled_events import GuildScheduledEvent
from gateway_service.events.users import Member, PresenceUpdate, Snowflake, Timestamp, User
from gateway_service.events.voice import VoiceState


class Role(TypedDict):
    """A role. See https://docs.discord.com/developers/topics/permissions#role-object."""

    id: Snowflake
    name: str
    color: int
    colors: NotRequired[dict[str, int | None]]
    hoist: bool
    icon: NotRequired[str | None]
    unicode_emoji: NotRequired[str | None]
    position: int
    permissions: str
    managed: bool
    mentionable: bool
    tags: NotRequired[dict[str, Any]]
    flags: NotRequired[int]


class UnavailableGuild(TypedDict):
    """A guild in an outage, or one of which the bot only knows the id."""

    id: Snowflake
    unavailable: NotRequired[bool]


class Guild(TypedDict):
    """A guild. See https://docs.discord.com/developers/resources/guild#guild-object."""

    id: Snowflake
    name: str
    icon: str | None
    icon_hash: NotRequired[str | None]
    splash: str | None
    discovery_splash: str | None
    owner_id: Snowflake
    afk_channel_id: Snowflake | None
    afk_timeout: int
    """Seconds."""
    widget_enabled: NotRequired[bool]
    widget_channel_id: NotRequired[Snowflake | None]
    verification_level: int
    default_message_notifications: int
    explicit_content_filter: int
    roles: list[Role]
    emojis: list[Emoji]
    features: list[str]
    mfa_level: int
    application_id: Snowflake | None
    system_channel_id: Snowflake | None
    system_channel_flags: int
    rules_channel_id: Snowflake | None
    max_presences: NotRequired[int | None]
    max_members: NotRequired[int]
    vanity_url_code: str | None
    description: str | None
    banner: str | None
    premium_tier: int
    premium_subscription_count: NotRequired[int]
    preferred_locale: str
    public_updates_channel_id: Snowflake | None
    max_video_channel_users: NotRequired[int]
    max_stage_video_channel_users: NotRequired[int]
    approximate_member_count: NotRequired[int]
    approximate_presence_count: NotRequired[int]
    welcome_screen: NotRequired[dict[str, Any]]
    nsfw_level: int
    stickers: NotRequired[list[Sticker]]
    premium_progress_bar_enabled: bool
    safety_alerts_channel_id: NotRequired[Snowflake | None]
    incidents_data: NotRequired[dict[str, Any] | None]


class GuildCreate(Guild):
    """GUILD_CREATE. While the guild is in an outage only ``id`` and ``unavailable`` are there."""

    joined_at: Timestamp
    large: bool
    unavailable: NotRequired[bool]
    member_count: int
    voice_states: list[VoiceState]
    members: list[Member]
    channels: list[Channel]
    threads: list[Channel]
    presences: list[PresenceUpdate]
    stage_instances: list[StageInstance]
    guild_scheduled_events: list[GuildScheduledEvent]
    soundboard_sounds: NotRequired[list[SoundboardSound]]


class GuildUpdate(Guild):
    """GUILD_UPDATE."""


class GuildDelete(UnavailableGuild):
    """GUILD_DELETE: an outage when ``unavailable`` is there, else the bot is no member any more."""


class GuildRoleCreate(TypedDict):
    """GUILD_ROLE_CREATE."""

    guild_id: Snowflake
    role: Role


class GuildRoleUpdate(GuildRoleCreate):
    """GUILD_ROLE_UPDATE."""


class GuildRoleDelete(TypedDict):
    """GUILD_ROLE_DELETE."""

    guild_id: Snowflake
    role_id: Snowflake


class GuildMemberAdd(Member):
    """GUILD_MEMBER_ADD; it may come for somebody who is a member already."""

    guild_id: Snowflake


class GuildMemberUpdate(TypedDict):
    """GUILD_MEMBER_UPDATE."""

    guild_id: Snowflake
    roles: list[Snowflake]
    user: User
    nick: NotRequired[str | None]
    avatar: NotRequired[str | None]
    banner: NotRequired[str | None]
    joined_at: Timestamp | None
    premium_since: NotRequired[Timestamp | None]
    deaf: NotRequired[bool]
    mute: NotRequired[bool]
    pending: NotRequired[bool]
    flags: NotRequired[int]
    communication_disabled_until: NotRequired[Timestamp | None]
    avatar_decoration_data: NotRequired[dict[str, Any] | None]


class GuildMemberRemove(TypedDict):
    """GUILD_MEMBER_REMOVE."""

    guild_id: Snowflake
    user: User


class GuildMembersChunk(TypedDict):
    """GUILD_MEMBERS_CHUNK: one of the answers to opcode 8."""

    guild_id: Snowflake
    members: list[Member]
    chunk_index: int
    chunk_count: int
    not_found: NotRequired[list[Snowflake]]
    presences: NotRequired[list[PresenceUpdate]]
    nonce: NotRequired[str]


class GuildBanAdd(TypedDict):
    """GUILD_BAN_ADD."""

    guild_id: Snowflake
    user: User


class GuildBanRemove(GuildBanAdd):
    """GUILD_BAN_REMOVE."""


class GuildAuditLogEntryCreate(TypedDict):
    """GUILD_AUDIT_LOG_ENTRY_CREATE. See https://docs.discord.com/developers/resources/audit-log."""

    guild_id: Snowflake
    id: Snowflake
    action_type: int
    target_id: str | None
    user_id: Snowflake | None
    changes: NotRequired[list[dict[str, Any]]]
    options: NotRequired[dict[str, Any]]
    reason: NotRequired[str]


class GuildIntegrationsUpdate(TypedDict):
    """GUILD_INTEGRATIONS_UPDATE."""

    guild_id: Snowflake


class IntegrationCreate(TypedDict):
    """INTEGRATION_CREATE. See https://docs.discord.com/developers/resources/guild#integration-object."""

    guild_id: Snowflake
    id: Snowflake
    name: str
    type: str
    enabled: bool
    account: dict[str, str]
    syncing: NotRequired[bool]
    role_id: NotRequired[Snowflake]
    enable_emoticons: NotRequired[bool]
    expire_behavior: NotRequired[int]
    expire_grace_period: NotRequired[int]
    user: NotRequired[User]
    synced_at: NotRequired[Timestamp]
    subscriber_count: NotRequired[int]
    revoked: NotRequired[bool]
    application: NotRequired[dict[str, Any]]
    scopes: NotRequired[list[str]]


class IntegrationUpdate(IntegrationCreate):
    """INTEGRATION_UPDATE."""


class IntegrationDelete(TypedDict):
    """INTEGRATION_DELETE."""

    id: Snowflake
    guild_id: Snowflake
    application_id: NotRequired[Snowflake]
