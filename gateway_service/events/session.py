"""What Discord says about the session itself. See https://docs.discord.com/developers/events/gateway-events#ready."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.guilds import UnavailableGuild
from gateway_service.events.users import User


class Ready(TypedDict):
    """READY: a shard has a new session."""

    v: int
    user: User
    guilds: list[UnavailableGuild]
    session_id: str
    resume_gateway_url: str
    shard: NotRequired[list[int]]
    application: dict[str, Any]


class Resumed(TypedDict):
    """RESUMED: everything that was missed has been replayed."""


class RateLimited(TypedDict):
    """RATE_LIMITED: a command was not carried out."""

    opcode: int
    retry_after: float
    """Seconds."""
    meta: dict[str, Any]
