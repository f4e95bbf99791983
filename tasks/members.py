"""Members: welcomes who joins. Needs the privileged intent GUILD_MEMBERS."""

import os
from collections.abc import Mapping
from typing import Any

from gateway_service import Dispatch, on
from gateway_service.events import GuildMemberAdd
from tasks.rest import Post, discord, retried


def welcome(member: Mapping[str, Any], channel_id: str | None) -> Post | None:
    """Decide the welcome for one GUILD_MEMBER_ADD; None without a channel to say it in."""
    user = member.get("user", {})
    if channel_id is None or "id" not in user or user.get("bot"):
        return None
    return Post(
        channel_id=channel_id,
        content=f"Welcome, <@{user['id']}>!",
        nonce=f"hi-{user['id']}",
        mentions=(user["id"],),
    )


@on("GUILD_MEMBER_ADD", bind=True, max_retries=3)
def welcome_member(self: Any, member: GuildMemberAdd, _dispatch: Dispatch) -> None:
    if post := welcome(member, os.environ.get("WELCOME_CHANNEL_ID")):
        with retried(self):
            discord().post(post)
