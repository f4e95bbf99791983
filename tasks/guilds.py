"""Guilds: tells a real join or leave from guilds that come with a start-up, a recovery or an outage."""

from collections.abc import Mapping
from typing import Any

from celery.utils.log import get_task_logger

from gateway_service import Dispatch, on
from tasks.rest import Post, discord, retried

log = get_task_logger(__name__)


def thanks(guild: Mapping[str, Any], dispatch: Dispatch) -> Post | None:
    """Decide what to say in a guild that has just added the bot; nothing without a system channel."""
    channel_id = guild.get("system_channel_id")
    if dispatch.kind != "join" or channel_id is None:
        return None
    return Post(channel_id=channel_id, content="Thanks for having me!", nonce=f"join-{guild['id']}")


@on("GUILD_CREATE", bind=True, max_retries=3)
def thank_for_joining(self: Any, guild: dict[str, Any], dispatch: Dispatch) -> None:
    if post := thanks(guild, dispatch):
        with retried(self):
            discord().post(post)


@on("GUILD_CREATE", "GUILD_DELETE")
def note_membership(guild: dict[str, Any], dispatch: Dispatch) -> None:
    if dispatch.kind in {"join", "left"}:
        log.info("guild %s: %s", guild["id"], dispatch.kind)
