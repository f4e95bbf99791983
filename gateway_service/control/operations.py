"""The registry: every operation declared once. HTTP paths, Celery commands and the command line are made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Literal, cast

from pydantic import ValidationError

from gateway_service.control import arguments as args
from gateway_service.control import discord, local, replies
from gateway_service.control.local import Host
from gateway_service.control.roll import READ_TIMEOUT_S
from gateway_service.refusals import InvalidArgument

Method = Literal["GET", "POST", "PUT"]


class Reach(Enum):
    """Which supervisors an operation concerns."""

    HERE = auto()
    """The one that is asked."""
    SHARD = auto()
    """The one that runs the shard of ``shard_id`` or ``guild_id``."""
    EVERY = auto()
    """All; their replies become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation and how it is reached."""

    name: str
    kind: Literal["inspect", "control"]
    """Celery's words: inspect has no side effect and needs the scope ``read``, control needs ``control``."""
    help: str
    arguments: type[args.Arguments] = args.Arguments
    reply: type[replies.Reply]
    run: Callable[[Host, Any], Awaitable[replies.Reply | replies.Outcome]]
    reach: Reach
    method: Method
    path: str
    """Arguments named in it come from it."""
    takes: Literal["query", "body"] = "query"
    """Where HTTP has the other arguments."""
    takes_s: float = 0.0
    """How long it may take, beside what its arguments allow."""


def _inspect(name: str, path: str, text: str, run: Any, **more: Any) -> Operation:
    return Operation(name=name, kind="inspect", help=text, run=run, method="GET", path=path, **more)


def _control(name: str, http: str, text: str, run: Any, **more: Any) -> Operation:
    method, _, path = http.partition(" ")
    return Operation(name=name, kind="control", help=text, run=run, method=cast("Method", method), path=path, **more)


_ALL: Final = (
    _inspect(
        "shards", "/v1/shards", "Every shard of the bot.", local.shards, reply=replies.ShardsReply, reach=Reach.EVERY
    ),
    _inspect(
        "shard",
        "/v1/shards/{shard_id}",
        "One shard.",
        local.shard,
        reply=replies.ShardReply,
        arguments=args.ShardArguments,
        reach=Reach.SHARD,
    ),
    _inspect(
        "processes",
        "/v1/processes",
        "Every shard process.",
        local.processes,
        reply=replies.ProcessesReply,
        reach=Reach.EVERY,
    ),
    _inspect(
        "where_is",
        "/v1/guilds/{guild_id}",
        "The shard and host of a guild.",
        local.where_is,
        reply=replies.WhereReply,
        arguments=args.GuildArguments,
        reach=Reach.SHARD,
    ),
    _inspect(
        "ledger",
        "/v1/ledger",
        "What came in and what became of it, shard by shard.",
        local.ledger,
        reply=replies.LedgerReply,
        reach=Reach.EVERY,
    ),
    _inspect(
        "identify_budget",
        "/v1/identify-budget",
        "How many IDENTIFYs are left, and whether a restart of everything could be paid.",
        local.identify_budget,
        reply=replies.BudgetReply,
        reach=Reach.HERE,
    ),
    _inspect(
        "routes",
        "/v1/routes",
        "The routes in force on each host: what becomes of dispatches by their name.",
        local.routes,
        reply=replies.RoutesReply,
        reach=Reach.EVERY,
    ),
    _inspect(
        "rolling_restart_status",
        "/v1/rolling-restart",
        "How far the rolling restart of each host is.",
        local.rolling_restart_status,
        reply=replies.RollingRestartReply,
        reach=Reach.EVERY,
    ),
    _control(
        "restart_shard",
        "POST /v1/shards/{shard_id}/restart",
        "Let a shard reconnect: resume keeps its session, identify ends it.",
        local.restart_shard,
        reply=replies.RestartReply,
        arguments=args.RestartShard,
        reach=Reach.SHARD,
    ),
    _control(
        "restart_process",
        "POST /v1/shards/{shard_id}/restart-process",
        "Drain the process that runs a shard and start it again.",
        local.restart_process,
        reply=replies.RestartReply,
        arguments=args.RestartProcess,
        reach=Reach.SHARD,
    ),
    _control(
        "reload_routes",
        "POST /v1/routes",
        "Read [routes] again on each host; no shard reconnects.",
        local.reload_routes,
        reply=replies.RoutesReply,
        reach=Reach.EVERY,
    ),
    _control(
        "rolling_restart",
        "POST /v1/rolling-restart",
        "Restart the processes of a host one by one, with new code and settings, then those of the hosts in `then`.",
        local.rolling_restart,
        reply=replies.RollingRestartReply,
        arguments=args.RollingRestart,
        reach=Reach.HERE,
        takes_s=READ_TIMEOUT_S,
    ),
    _control(
        "drain",
        "POST /v1/drain",
        "Flush, keep the sessions, end this supervisor.",
        local.drain,
        reply=replies.DrainReply,
        reach=Reach.HERE,
    ),
    _control(
        "update_presence",
        "PUT /v1/presence",
        "Set the presence of all shards or some; it is kept over restarts.",
        discord.update_presence,
        reply=replies.PresenceReply,
        arguments=args.UpdatePresence,
        takes="body",
        reach=Reach.EVERY,
    ),
    _control(
        "update_voice_state",
        "PUT /v1/voice/{guild_id}",
        "Join, move to or leave a voice channel; kept until it is left.",
        discord.update_voice_state,
        reply=replies.SentReply,
        arguments=args.UpdateVoiceState,
        takes="body",
        reach=Reach.SHARD,
    ),
    _control(
        "request_guild_members",
        "POST /v1/guilds/{guild_id}/members",
        "Ask Discord for members of a guild and gather all chunks.",
        discord.request_guild_members,
        reply=replies.MembersReply,
        arguments=args.RequestGuildMembers,
        takes="body",
        reach=Reach.SHARD,
    ),
    _control(
        "request_soundboard_sounds",
        "POST /v1/guilds/{guild_id}/soundboard-sounds",
        "Ask Discord for the soundboard sounds of a guild.",
        discord.request_soundboard_sounds,
        reply=replies.DiscordReply,
        arguments=args.RequestSoundboardSounds,
        takes="body",
        reach=Reach.SHARD,
    ),
    _control(
        "request_channel_info",
        "POST /v1/guilds/{guild_id}/channel-info",
        "Ask Discord for the voice status of a guild's channels.",
        discord.request_channel_info,
        reply=replies.DiscordReply,
        arguments=args.RequestChannelInfo,
        takes="body",
        reach=Reach.SHARD,
    ),
)

OPERATIONS: Final[Mapping[str, Operation]] = {operation.name: operation for operation in _ALL}


def usage_of(operation: Operation) -> str:
    """Return how an operation is written on a command line: ``restart_shard <shard_id> [mode] [wait_s]``."""
    words = [
        f"<{name}>" if field.is_required() else f"[{name}]" for name, field in operation.arguments.model_fields.items()
    ]
    return " ".join([operation.name, *words])


def parsed(operation: Operation, given: Mapping[str, Any]) -> args.Arguments:
    """Check arguments.

    Raises:
        InvalidArgument: With one sentence for each fault.
    """
    try:
        return operation.arguments.model_validate(dict(given))
    except ValidationError as exc:
        faults = []
        for fault in exc.errors(include_url=False, include_input=False):
            sentence = str(fault.get("ctx", {}).get("error", fault["msg"]))
            faults.append(": ".join([*(".".join(map(str, fault["loc"])),) * bool(fault["loc"]), sentence]))
        raise InvalidArgument(f"{operation.name}: {'; '.join(faults)}") from None


def operation_named(name: str) -> Operation:
    """Return an operation of the registry.

    Raises:
        InvalidArgument: There is none of this name.
    """
    try:
        return OPERATIONS[name]
    except KeyError:
        raise InvalidArgument(f"there is no operation {name!r}") from None
