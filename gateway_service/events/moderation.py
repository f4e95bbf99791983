"""Automatic moderation. See https://docs.discord.com/developers/resources/auto-moderation."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.users import Snowflake


class AutoModerationAction(TypedDict):
    """What a rule does."""

    type: int
    metadata: NotRequired[dict[str, Any]]


class AutoModerationRule(TypedDict):
    """A rule of a guild."""

    id: Snowflake
    guild_id: Snowflake
    name: str
    creator_id: Snowflake
    event_type: int
    trigger_type: int
    trigger_metadata: dict[str, Any]
    actions: list[AutoModerationAction]
    enabled: bool
    exempt_roles: list[Snowflake]
    exempt_channels: list[Snowflake]


class AutoModerationRuleCreate(AutoModerationRule):
    """AUTO_MODERATION_RULE_CREATE."""


class AutoModerationRuleUpdate(AutoModerationRule):
    """AUTO_MODERATION_RULE_UPDATE."""


class AutoModerationRuleDelete(AutoModerationRule):
    """AUTO_MODERATION_RULE_DELETE."""


class AutoModerationActionExecution(TypedDict):
    """AUTO_MODERATION_ACTION_EXECUTION."""

    guild_id: Snowflake
    action: AutoModerationAction
    rule_id: Snowflake
    rule_trigger_type: int
    user_id: Snowflake
    channel_id: NotRequired[Snowflake]
    message_id: NotRequired[Snowflake]
    alert_system_message_id: NotRequired[Snowflake]
    content: NotRequired[str]
    matched_keyword: str | None
    matched_content: NotRequired[str | None]
