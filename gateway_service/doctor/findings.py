"""What a check found, with its cure. Pure: what was asked and answered comes from outside."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway_service.errors import (
    EX_CONFIG,
    EX_OK,
    EX_UNAVAILABLE,
    BrokerUnavailable,
    ConfigurationError,
    TokenRefused,
)
from gateway_service.protocol.constants import IDENTIFY_SPACING_S, PRIVILEGED_INTENTS
from gateway_service.publisher import Room
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor.bootstrap import cpu_count
from gateway_service.supervisor.gateway_info import GatewayInfo
from gateway_service.supervisor.plan import processes_for, shards_to_run

Verdict = Literal["ok", "warn", "fail", "skip"]

# The Date header has whole seconds and the answer takes part of one; an interaction must be answered within 3 s.
MAX_CLOCK_OFFSET_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""
    exit_code: int = EX_OK


class NotMade:
    """The state file is not there yet, and could be made."""


@dataclass(frozen=True, slots=True)
class StateSeen:
    """What a state store told that could be read and written."""

    sessions: int | None
    """How many a start would resume; None when the shards are unknown."""
    eviction_policy: str | None = None
    """By which policy it drops what it has when it is full; None when it drops nothing."""


def exit_code_of(findings: Sequence[Finding]) -> int:
    """Return the code for all findings together: a wrong setting outweighs an absent service."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in (EX_CONFIG, EX_UNAVAILABLE) if code in codes), EX_OK)


def num_shards_of(options: GatewayOptions, info: object) -> int | None:
    """Return the shard count; None when only Discord could tell and did not."""
    if options.shard_count != "auto":
        return options.shard_count
    return info.shards if isinstance(info, GatewayInfo) else None


def shards_here(options: GatewayOptions, info: object) -> tuple[int, ...] | None:
    """Return the shards that would run here; None when that is unknown or cannot be."""
    num_shards = num_shards_of(options, info)
    try:
        return None if num_shards is None else shards_to_run(options.shards, num_shards)
    except ConfigurationError:
        return None


def processes_here(options: GatewayOptions, info: object) -> int:
    """Return how many shard processes would run here; 1 when that is unknown."""
    shard_ids = shards_here(options, info)
    return 1 if shard_ids is None else len(processes_for(shard_ids, options.processes, cpu_count()))


def skip(check: str, why: str) -> Finding:
    """Return the finding of a check that could not be made."""
    return Finding(check=check, verdict="skip", message=why)


def settings_refused(error: ConfigurationError) -> list[Finding]:
    """Return one finding for each fault."""
    cure = "correct it; docs/settings.md lists all"
    return [
        Finding(check="settings", verdict="fail", message=fault, cure=cure, exit_code=EX_CONFIG)
        for fault in error.faults
    ]


def settings_read(options: GatewayOptions) -> Finding:
    privileged = [intent.name for intent in PRIVILEGED_INTENTS if intent in options.intents]
    if not privileged:
        return Finding(check="settings", verdict="ok", message="complete; no privileged intent")
    message = f"complete; privileged intents: {', '.join(map(str, privileged))}"
    return Finding(check="settings", verdict="ok", message=message, cure="switch them on in the developer portal")


def token_finding(options: GatewayOptions, info: object) -> Finding:
    match info:
        case GatewayInfo():
            return Finding(check="token", verdict="ok", message=f"accepted by {options.api_url}")
        case TokenRefused():
            return Finding(
                check="token",
                verdict="fail",
                message=f"refused by {options.api_url} (HTTP 401)",
                cure="copy the token again from Bot in the developer portal into DISCORD_TOKEN",
                exit_code=EX_CONFIG,
            )
        case _:
            return Finding(
                check="token",
                verdict="fail",
                message=_reason(info, f"{options.api_url} did not answer"),
                cure="check the network, a proxy, and GATEWAY_API_URL",
                exit_code=EX_UNAVAILABLE,
            )


def clock_finding(info: object) -> Finding:
    """Judge our clock by the time that Discord wrote on its answer."""
    if not isinstance(info, GatewayInfo) or info.clock_offset_s is None:
        return skip("clock", "needs an answer of the API with its time")
    offset_s = info.clock_offset_s
    if abs(offset_s) <= MAX_CLOCK_OFFSET_S:
        return Finding(check="clock", verdict="ok", message="agrees with Discord's")
    direction = "ahead of" if offset_s > 0 else "behind"
    return Finding(
        check="clock",
        verdict="warn",
        message=f"{abs(offset_s):.0f} s {direction} Discord's; ages of dispatches will be wrong",
        cure="turn on time synchronisation (timedatectl set-ntp true)",
    )


def broker_finding(options: GatewayOptions, outcome: object) -> Finding:
    match outcome:
        case None:
            return Finding(check="broker", verdict="ok", message=f"{options.broker_url} takes messages")
        case str():
            return Finding(
                check="broker",
                verdict="warn",
                message=f"{options.broker_url} takes no messages now: {outcome}",
                cure="give the broker memory and disk space; dispatches wait until then",
            )
        case BrokerUnavailable():
            return Finding(
                check="broker",
                verdict="fail",
                message=str(outcome),
                cure="start the broker, or set GATEWAY_BROKER_URL to one that runs",
                exit_code=EX_UNAVAILABLE,
            )
        case _:
            return Finding(
                check="broker",
                verdict="fail",
                message=str(outcome),
                cure="correct GATEWAY_BROKER_URL",
                exit_code=EX_CONFIG,
            )


def state_finding(options: GatewayOptions, outcome: object) -> Finding:
    match outcome:
        case StateSeen(sessions=sessions, eviction_policy=None):
            to_resume = "" if sessions is None else f", {sessions} sessions to resume"
            return Finding(check="state", verdict="ok", message=f"{options.state_url} is writable{to_resume}")
        case StateSeen(eviction_policy=policy):
            return Finding(
                check="state",
                verdict="warn",
                message=f"{options.state_url} is writable, but drops keys when it is full ({policy})",
                cure="set maxmemory-policy noeviction there: without its permits shards IDENTIFY too early",
            )
        case NotMade():
            message = f"{options.state_url} is not there yet; a start makes it"
            return Finding(check="state", verdict="ok", message=message)
        case ConfigurationError():
            return Finding(
                check="state",
                verdict="fail",
                message=str(outcome),
                cure="correct GATEWAY_STATE_URL",
                exit_code=EX_CONFIG,
            )
        case _:
            is_file = options.state_url.scheme == "sqlite"
            remedy = "make room, let this user write there" if is_file else "start Redis, check its user and password"
            return Finding(
                check="state",
                verdict="fail",
                message=_reason(outcome, f"{options.state_url} did not answer"),
                cure=f"{remedy}, or set GATEWAY_STATE_URL",
                exit_code=EX_UNAVAILABLE,
            )


def spool_finding(options: GatewayOptions, outcome: object, *, processes: int) -> Finding:
    """Judge the disk that dispatches wait on while the broker is away."""
    folder = options.spool_folder.absolute()
    match outcome:
        case None:
            return Finding(check="spool", verdict="ok", message="not used (GATEWAY_SPOOL_MAX_BYTES=0)")
        case Room(free_bytes=free_bytes, reserve_bytes=reserve_bytes):
            wanted_bytes = processes * options.spool_max_bytes
            usable_bytes = max(0, free_bytes - reserve_bytes)
            if usable_bytes >= wanted_bytes:
                message = f"{folder} is writable, with room for {_mebibytes(wanted_bytes)}"
                return Finding(check="spool", verdict="ok", message=message)
            return Finding(
                check="spool",
                verdict="warn",
                message=f"{folder} is writable, with room for {_mebibytes(usable_bytes)} of the "
                f"{_mebibytes(wanted_bytes)} that may come",
                cure="make room, lower GATEWAY_SPOOL_MAX_BYTES, or set GATEWAY_SPOOL_DIR to a larger disk",
            )
        case _:
            return Finding(
                check="spool",
                verdict="fail",
                message=_reason(outcome, f"{folder} did not answer"),
                cure="let this user write there, or set GATEWAY_SPOOL_DIR",
                exit_code=EX_UNAVAILABLE,
            )


def shards_finding(options: GatewayOptions, info: object, *, resumable: int) -> Finding:
    """Judge the plan: do these shards exist, does Discord want more, and does the identify budget last?"""
    num_shards = num_shards_of(options, info)
    if num_shards is None or not isinstance(info, GatewayInfo):
        return skip("shards", "needs an answer of the API")
    try:
        shard_ids = shards_to_run(options.shards, num_shards)
    except ConfigurationError as exc:
        cure = "correct GATEWAY_SHARDS or set GATEWAY_SHARD_COUNT"
        return Finding(check="shards", verdict="fail", message=str(exc), cure=cure, exit_code=EX_CONFIG)
    processes = len(processes_for(shard_ids, options.processes, cpu_count()))
    identifies = max(0, len(shard_ids) - resumable)
    budget = f"{identifies} to identify of {info.identifies_remaining} left today"
    plan = f"{len(shard_ids)} of {num_shards} in {processes} {'process' if processes == 1 else 'processes'}; {budget}"
    if identifies > info.identifies_remaining:
        return Finding(
            check="shards",
            verdict="fail",
            message=plan,
            cure=f"wait {math.ceil(info.reset_after_s / 60)} min for the next budget, or start fewer shards",
            exit_code=EX_UNAVAILABLE,
        )
    if num_shards < info.shards:
        return Finding(
            check="shards",
            verdict="warn",
            message=f"{plan}; Discord recommends {info.shards} shards",
            cure=f"set GATEWAY_SHARD_COUNT to {info.shards} or more; Discord refuses shards of over 2,500 guilds",
        )
    rounds = math.ceil(identifies / info.max_concurrency)
    seconds = math.ceil(max(0, rounds - 1) * IDENTIFY_SPACING_S)
    return Finding(check="shards", verdict="ok", message=f"{plan}, which takes at least {seconds} s")


def _mebibytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"


def _reason(outcome: object, otherwise: str) -> str:
    return otherwise if isinstance(outcome, TimeoutError) else str(outcome)
