"""Commands that reach Discord: ``gateway-service presence``, ``voice``, ``members`` and others; and ``where``."""

import json
from typing import Any

import click

from gateway_service.cli.service import EXIT_CODES, Caller, for_service
from gateway_service.settings.values import BadValue, parse_presence, parse_shards
from gateway_service.supervisor.plan import as_ranges


class _Presence(click.ParamType[Any]):
    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            presence = json.loads(value)
            parse_presence(presence)
        except json.JSONDecodeError as exc:
            self.fail(f"is not JSON: {exc.msg} at character {exc.pos + 1}", param, ctx)
        except BadValue as exc:
            self.fail(str(exc), param, ctx)
        return presence


class _Shards(click.ParamType[Any]):
    name = "IDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return list(parse_shards(value, "auto") or ())
        except BadValue as exc:
            self.fail(str(exc), param, ctx)


_some_shards = click.option("--shards", "shard_ids", type=_Shards(), help="Only these, such as 0-3,8.")
_guild = click.argument("guild_id", type=click.IntRange(min=0))
_timeout = click.option("--timeout", "timeout_s", default=10.0, show_default=True, help="Seconds to wait for Discord.")


@click.group()
def presence() -> None:
    """Set or clear the presence of the bot."""


@presence.command(
    name="set",
    epilog=f"""\b
Example:
  gateway-service presence set '{{"status": "dnd", "activities": [{{"name": "maintenance", "type": 0}}]}}'

{EXIT_CODES}
""",
)
@click.argument("wanted", metavar="JSON", type=_Presence())
@_some_shards
@for_service
def set_presence(caller: Caller, *, wanted: dict[str, Any], shard_ids: list[int] | None) -> int:
    """Show a presence, now and after each new session."""
    answer = caller.ask("update_presence", presence=wanted, shard_ids=shard_ids)
    return caller.say(answer, f"shown by shards {as_ranges(answer['result']['shard_ids']) or 'none'}")


@presence.command(name="clear", epilog=EXIT_CODES)
@_some_shards
@for_service
def clear_presence(caller: Caller, *, shard_ids: list[int] | None) -> int:
    """Go back to the presence of the settings."""
    answer = caller.ask("update_presence", presence=None, shard_ids=shard_ids)
    return caller.say(answer, f"cleared on shards {as_ranges(answer['result']['shard_ids']) or 'none'}")


@click.group()
def voice() -> None:
    """Join or leave a voice channel."""


@voice.command(epilog=EXIT_CODES)
@_guild
@click.argument("channel_id", type=click.IntRange(min=0))
@click.option("--mute", "self_mute", is_flag=True)
@click.option("--deaf", "self_deaf", is_flag=True)
@for_service
def join(caller: Caller, *, guild_id: int, channel_id: int, self_mute: bool, self_deaf: bool) -> int:
    """Enter a voice channel, now and after each new session."""
    answer = caller.ask(
        "update_voice_state",
        guild_id=str(guild_id),
        channel_id=str(channel_id),
        self_mute=self_mute,
        self_deaf=self_deaf,
    )
    return caller.say(answer, f"sent by shard {answer['result']['shard_id']}")


@voice.command(epilog=EXIT_CODES)
@_guild
@for_service
def leave(caller: Caller, *, guild_id: int) -> int:
    """Leave the voice channel of a guild."""
    answer = caller.ask("update_voice_state", guild_id=str(guild_id))
    return caller.say(answer, f"sent by shard {answer['result']['shard_id']}")


@click.command(epilog=EXIT_CODES)
@_guild
@click.option("--query", help="What the names begin with.")
@click.option("--limit", type=click.IntRange(1, 100), default=100, show_default=True, help="Of a query.")
@click.option("--user", "user_ids", multiple=True, type=click.IntRange(min=0), help="A user; may be given often.")
@click.option("--presences", is_flag=True, help="Also their presences, with --json; needs GUILD_PRESENCES.")
@_timeout
@for_service
def members(
    caller: Caller,
    *,
    guild_id: int,
    query: str | None,
    limit: int,
    user_ids: tuple[int, ...],
    presences: bool,
    timeout_s: float,
) -> int:
    """Ask Discord for members of a guild.

    Prints one JSON object a line. Without --query and --user: every member, which needs the intent GUILD_MEMBERS and
    which Discord allows once in 30 s for a guild.
    """
    answer = caller.ask(
        "request_guild_members",
        guild_id=str(guild_id),
        query=query,
        limit=limit if query else None,
        user_ids=[str(user_id) for user_id in user_ids] or None,
        presences=presences,
        timeout_s=timeout_s,
    )
    return caller.say(answer, "\n".join(json.dumps(member) for member in answer["result"]["members"]))


@click.command(name="soundboard-sounds", epilog=EXIT_CODES)
@_guild
@_timeout
@for_service
def soundboard_sounds(caller: Caller, *, guild_id: int, timeout_s: float) -> int:
    """Ask Discord for the soundboard sounds of a guild."""
    answer = caller.ask("request_soundboard_sounds", guild_id=str(guild_id), timeout_s=timeout_s)
    return caller.say(answer, "\n".join(map(json.dumps, answer["result"]["data"].get("soundboard_sounds", ()))))


@click.command(name="channel-info", epilog=EXIT_CODES)
@_guild
@_timeout
@for_service
def channel_info(caller: Caller, *, guild_id: int, timeout_s: float) -> int:
    """Ask Discord for the voice status of a guild's channels."""
    answer = caller.ask("request_channel_info", guild_id=str(guild_id), timeout_s=timeout_s)
    return caller.say(answer, "\n".join(map(json.dumps, answer["result"]["data"].get("channels", ()))))


@click.command(epilog=EXIT_CODES)
@_guild
@for_service
def where(caller: Caller, *, guild_id: int) -> int:
    """Tell which shard and host has a guild."""
    answer = caller.ask("where_is", guild_id=str(guild_id))
    result = answer["result"]
    place = f"shard {result['shard_id']} of {result['num_shards']} on {result['host']}"
    return caller.say(answer, f"{place}: {result['state']}")
