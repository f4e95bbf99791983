"""Users, members and presences. See https://docs.discord.com/developers/resources/user and .../resources/guild."""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Snowflake: TypeAlias = str
"""An id: a 64-bit integer as text. Its upper bits are the time of creation."""
Timestamp: TypeAlias = str
"""ISO 8601: ``"2026-01-31T12:00:00.000000+00:00"``."""


class User(TypedDict):
    """A person, a bot or a webhook."""

    id: Snowflake
    username: str
    discriminator: str
    global_name: str | None
    avatar: str | None
    bot: NotRequired[bool]
    system: NotRequired[bool]
    banner: NotRequired[str | None]
    accent_color: NotRequired[int | None]
    public_flags: NotRequired[int]
    flags: NotRequired[int]
    avatar_decoration_data: NotRequired[dict[str, Any] | None]
    collectibles: NotRequired[dict[str, Any] | None]
    primary_guild: NotRequired[dict[str, Any] | None]
    mfa_enabled: NotRequired[bool]
    verified: NotRequired[bool]
    locale: NotRequired[str]
    email: NotRequired[str | None]


class PartialUser(TypedDict):
    """A user of whom only the id is sure."""

    id: Snowflake
    username: NotRequired[str]
    discriminator: NotRequired[str]
    global_name: NotRequired[str | None]
    avatar: NotRequired[str | None]
    bot: NotRequired[bool]


class PartialMember(TypedDict):
    """A member without the user, as it comes beside an author."""

    nick: NotRequired[str | None]
    avatar: NotRequired[str | None]
    banner: NotRequired[str | None]
    roles: list[Snowflake]
    joined_at: Timestamp | None
    premium_since: NotRequired[Timestamp | None]
    deaf: NotRequired[bool]
    mute: NotRequired[bool]
    flags: NotRequired[int]
    pending: NotRequired[bool]
    permissions: NotRequired[str]
    communication_disabled_until: NotRequired[Timestamp | None]
    avatar_decoration_data: NotRequired[dict[str, Any] | None]


class Member(PartialMember):
    """A user in a guild."""

    user: User


class ActivityTimestamps(TypedDict):
    """When an activity began and ends, in UNIX milliseconds."""

    start: NotRequired[int]
    end: NotRequired[int]


class Activity(TypedDict):
    """What a user does. See https://docs.discord.com/developers/events/gateway-events#activity-object."""

    name: str
    type: int
    id: NotRequired[str]
    url: NotRequired[str | None]
    created_at: NotRequired[int]
    timestamps: NotRequired[ActivityTimestamps]
    application_id: NotRequired[Snowflake]
    details: NotRequired[str | None]
    state: NotRequired[str | None]
    emoji: NotRequired[dict[str, Any] | None]
    party: NotRequired[dict[str, Any]]
    assets: NotRequired[dict[str, Any]]
    flags: NotRequired[int]


class ClientStatus(TypedDict, total=False):
    """The status on each kind of client; one that is offline is left out."""

    desktop: str
    mobile: str
    web: str


class PresenceUpdate(TypedDict):
    """PRESENCE_UPDATE. Discord does not validate it: only the id of the user is sure."""

    user: PartialUser
    guild_id: NotRequired[Snowflake]
    status: NotRequired[Literal["online", "idle", "dnd", "invisible", "offline"]]
    activities: NotRequired[list[Activity]]
    client_status: NotRequired[ClientStatus]


class UserUpdate(User):
    """USER_UPDATE: the bot's own user changed."""


class TypingStart(TypedDict):
    """TYPING_START."""

    channel_id: Snowflake
    guild_id: NotRequired[Snowflake]
    user_id: Snowflake
    timestamp: int
    """UNIX seconds."""
    member: NotRequired[Member]
