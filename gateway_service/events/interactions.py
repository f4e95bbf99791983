"""Interactions and application commands. See https://docs.discord.com/developers/interactions/receiving-and-responding."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.channels import Channel
from gateway_service.events.messages import Message
from gateway_service.events.users import Member, Snowflake, User


class CommandOption(TypedDict):
    """An option of a command as a user filled it in, or a subcommand with its own."""

    name: str
    type: int
    value: NotRequired[str | int | float | bool]
    options: NotRequired[list["CommandOption"]]
    focused: NotRequired[bool]


class InteractionData(TypedDict, total=False):
    """What was used: a command (``id``, ``name``), a component (``custom_id``) or a modal (``components``)."""

    id: Snowflake
    name: str
    type: int
    resolved: dict[str, Any]
    options: list[CommandOption]
    guild_id: Snowflake
    target_id: Snowflake
    custom_id: str
    component_type: int
    values: list[str]
    components: list[dict[str, Any]]


class InteractionCreate(TypedDict):
    """INTERACTION_CREATE. Answer it within three seconds."""

    id: Snowflake
    application_id: Snowflake
    type: int
    data: NotRequired[InteractionData]
    guild: NotRequired[dict[str, Any]]
    guild_id: NotRequired[Snowflake]
    channel: NotRequired[Channel]
    channel_id: NotRequired[Snowflake]
    member: NotRequired[Member]
    """In guilds; ``user`` is there elsewhere."""
    user: NotRequired[User]
    token: str
    """A secret: whoever has it may answer, for 15 minutes."""
    version: int
    message: NotRequired[Message]
    app_permissions: str
    locale: NotRequired[str]
    guild_locale: NotRequired[str]
    entitlements: list[dict[str, Any]]
    authorizing_integration_owners: dict[str, Snowflake]
    context: NotRequired[int]
    attachment_size_limit: int


class CommandPermission(TypedDict):
    """Who may use a command."""

    id: Snowflake
    type: int
    permission: bool


class ApplicationCommandPermissionsUpdate(TypedDict):
    """APPLICATION_COMMAND_PERMISSIONS_UPDATE."""

    id: Snowflake
    application_id: Snowflake
    guild_id: Snowflake
    permissions: list[CommandPermission]
