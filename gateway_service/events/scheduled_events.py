"""Scheduled events. See https://docs.discord.com/developers/resources/guild-scheduled-event."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.users import Snowflake, Timestamp, User


class GuildScheduledEvent(TypedDict):
    """An event that a guild plans."""

    id: Snowflake
    guild_id: Snowflake
    channel_id: Snowflake | None
    creator_id: NotRequired[Snowflake | None]
    name: str
    description: NotRequired[str | None]
    scheduled_start_time: Timestamp
    scheduled_end_time: Timestamp | None
    privacy_level: int
    status: int
    entity_type: int
    entity_id: Snowflake | None
    entity_metadata: dict[str, Any] | None
    creator: NotRequired[User]
    user_count: NotRequired[int]
    image: NotRequired[str | None]
    recurrence_rule: NotRequired[dict[str, Any] | None]


class GuildScheduledEventCreate(GuildScheduledEvent):
    """GUILD_SCHEDULED_EVENT_CREATE."""


class GuildScheduledEventUpdate(GuildScheduledEvent):
    """GUILD_SCHEDULED_EVENT_UPDATE."""


class GuildScheduledEventDelete(GuildScheduledEvent):
    """GUILD_SCHEDULED_EVENT_DELETE."""


class GuildScheduledEventUserAdd(TypedDict):
    """GUILD_SCHEDULED_EVENT_USER_ADD."""

    guild_scheduled_event_id: Snowflake
    user_id: Snowflake
    guild_id: Snowflake


class GuildScheduledEventUserRemove(GuildScheduledEventUserAdd):
    """GUILD_SCHEDULED_EVENT_USER_REMOVE."""
