"""Channels, threads and stages. See https://docs.discord.com/developers/resources/channel."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.users import Member, PresenceUpdate, Snowflake, Timestamp, User


class Overwrite(TypedDict):
    """Permissions of a role (0) or a member (1) in a channel."""

    id: Snowflake
    type: int
    allow: str
    deny: str


class ThreadMetadata(TypedDict):
    """What only threads have."""

    archived: bool
    auto_archive_duration: int
    """Minutes."""
    archive_timestamp: Timestamp
    locked: bool
    invitable: NotRequired[bool]
    create_timestamp: NotRequired[Timestamp | None]


class ThreadMember(TypedDict):
    """A user who joined a thread."""

    id: NotRequired[Snowflake]
    user_id: NotRequired[Snowflake]
    join_timestamp: Timestamp
    flags: int
    member: NotRequired[Member]


class ForumTag(TypedDict):
    """A tag of a forum or media channel."""

    id: Snowflake
    name: str
    moderated: bool
    emoji_id: Snowflake | None
    emoji_name: str | None


class Channel(TypedDict):
    """Any kind of channel, threads too. See https://docs.discord.com/developers/resources/channel#channel-object."""

    id: Snowflake
    type: int
    guild_id: NotRequired[Snowflake]
    position: NotRequired[int]
    permission_overwrites: NotRequired[list[Overwrite]]
    name: NotRequired[str | None]
    topic: NotRequired[str | None]
    nsfw: NotRequired[bool]
    last_message_id: NotRequired[Snowflake | None]
    bitrate: NotRequired[int]
    user_limit: NotRequired[int]
    rate_limit_per_user: NotRequired[int]
    """Seconds."""
    recipients: NotRequired[list[User]]
    icon: NotRequired[str | None]
    owner_id: NotRequired[Snowflake | None]
    application_id: NotRequired[Snowflake]
    managed: NotRequired[bool]
    parent_id: NotRequired[Snowflake | None]
    last_pin_timestamp: NotRequired[Timestamp | None]
    rtc_region: NotRequired[str | None]
    video_quality_mode: NotRequired[int]
    message_count: NotRequired[int]
    member_count: NotRequired[int]
    thread_metadata: NotRequired[ThreadMetadata]
    member: NotRequired[ThreadMember]
    default_auto_archive_duration: NotRequired[int | None]
    permissions: NotRequired[str]
    flags: NotRequired[int]
    total_message_sent: NotRequired[int]
    available_tags: NotRequired[list[ForumTag]]
    applied_tags: NotRequired[list[Snowflake]]
    default_reaction_emoji: NotRequired[dict[str, Any] | None]
    default_thread_rate_limit_per_user: NotRequired[int]
    default_sort_order: NotRequired[int | None]
    default_forum_layout: NotRequired[int]


class ChannelCreate(Channel):
    """CHANNEL_CREATE."""


class ChannelUpdate(Channel):
    """CHANNEL_UPDATE."""


class ChannelDelete(Channel):
    """CHANNEL_DELETE."""


class ChannelPinsUpdate(TypedDict):
    """CHANNEL_PINS_UPDATE."""

    channel_id: Snowflake
    guild_id: NotRequired[Snowflake]
    last_pin_timestamp: NotRequired[Timestamp | None]


class ChannelInfo(TypedDict):
    """CHANNEL_INFO: the answer to opcode 43."""

    guild_id: Snowflake
    channels: list[dict[str, Any]]


class ThreadCreate(Channel):
    """THREAD_CREATE; ``member`` is there when the bot was added to a private thread."""

    newly_created: NotRequired[bool]


class ThreadUpdate(Channel):
    """THREAD_UPDATE."""


class ThreadDelete(TypedDict):
    """THREAD_DELETE."""

    id: Snowflake
    guild_id: Snowflake
    parent_id: Snowflake
    type: int


class ThreadListSync(TypedDict):
    """THREAD_LIST_SYNC: the bot gained access to channels."""

    guild_id: Snowflake
    channel_ids: NotRequired[list[Snowflake]]
    threads: list[Channel]
    members: list[ThreadMember]


class ThreadMemberUpdate(ThreadMember):
    """THREAD_MEMBER_UPDATE: the bot's own membership changed."""

    guild_id: Snowflake


class AddedThreadMember(ThreadMember):
    """A member who joined, with the presence."""

    presence: NotRequired[PresenceUpdate | None]


class ThreadMembersUpdate(TypedDict):
    """THREAD_MEMBERS_UPDATE."""

    id: Snowflake
    guild_id: Snowflake
    member_count: int
    added_members: NotRequired[list[AddedThreadMember]]
    removed_member_ids: NotRequired[list[Snowflake]]


class StageInstance(TypedDict):
    """A live stage. See https://docs.discord.com/developers/resources/stage-instance."""

    id: Snowflake
    guild_id: Snowflake
    channel_id: Snowflake
    topic: str
    privacy_level: int
    discoverable_disabled: NotRequired[bool]
    guild_scheduled_event_id: NotRequired[Snowflake | None]


class StageInstanceCreate(StageInstance):
    """STAGE_INSTANCE_CREATE."""


class StageInstanceUpdate(StageInstance):
    """STAGE_INSTANCE_UPDATE."""


class StageInstanceDelete(StageInstance):
    """STAGE_INSTANCE_DELETE."""


class WebhooksUpdate(TypedDict):
    """WEBHOOKS_UPDATE."""

    guild_id: Snowflake
    channel_id: Snowflake


class InviteCreate(TypedDict):
    """INVITE_CREATE."""

    channel_id: Snowflake
    code: str
    created_at: Timestamp
    guild_id: NotRequired[Snowflake]
    inviter: NotRequired[User]
    max_age: int
    """Seconds; 0 is for ever."""
    max_uses: int
    target_type: NotRequired[int]
    target_user: NotRequired[User]
    target_application: NotRequired[dict[str, Any]]
    temporary: bool
    uses: int
    expires_at: NotRequired[Timestamp | None]
    role_ids: NotRequired[list[Snowflake]]


class InviteDelete(TypedDict):
    """INVITE_DELETE."""

    channel_id: Snowflake
    guild_id: NotRequired[Snowflake]
    code: str
