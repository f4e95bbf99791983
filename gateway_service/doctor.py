"""Is everything there that a start needs? Each check answers with one finding, and each bad finding with a cure."""

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from gateway_service.errors import (
    EX_CONFIG,
    EX_OK,
    EX_UNAVAILABLE,
    BrokerUnavailable,
    ConfigurationError,
    GatewayServiceError,
    StateUnavailable,
    TokenRefused,
)
from gateway_service.protocol.constants import IDENTIFY_SPACING_S, PRIVILEGED_INTENTS
from gateway_service.publisher import Origin, make_link
from gateway_service.settings import GatewayOptions, load_options
from gateway_service.state import Namespace, bot_id_of, open_state
from gateway_service.supervisor.bootstrap import cpu_count
from gateway_service.supervisor.gateway_info import GatewayInfo, Patience, fetch_gateway_info
from gateway_service.supervisor.plan import processes_for, shards_to_run
from gateway_service.supervisor.presence import PresenceProvider
from gateway_service.supervisor.threads import call_in_thread

Verdict = Literal["ok", "warn", "fail", "skip"]

# The Date header has whole seconds and the answer takes part of one; an interaction must be answered within 3 s.
MAX_CLOCK_OFFSET_S: Final = 2.0
CHECK_TIMEOUT_S: Final = 15.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""
    exit_code: int = EX_OK


def exit_code_of(findings: Sequence[Finding]) -> int:
    """Return the code for all findings together: a wrong setting outweighs an absent service."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in (EX_CONFIG, EX_UNAVAILABLE) if code in codes), EX_OK)


async def examine(flags: Mapping[str, Any], env: Mapping[str, str], config_file: Path | None) -> list[Finding]:
    """Make every check; one that needs what another did not get is skipped."""
    try:
        options = load_options(flags, env, config_file)
        PresenceProvider(options.presence)
    except ConfigurationError as exc:
        needy = [_skip(check, "needs the settings") for check in ("token", "clock", "broker", "state", "shards")]
        return [*settings_refused(exc), *needy]
    info, broker = await asyncio.gather(_outcome(_ask_api(options)), _outcome(_try_broker(options)))
    resumable = await _outcome(_count_sessions(options, info))
    return [
        settings_read(options),
        token_finding(options, info),
        clock_finding(info),
        broker_finding(options, broker),
        state_finding(options, resumable),
        shards_finding(options, info, resumable=resumable if isinstance(resumable, int) else 0),
    ]


async def _outcome(check: Awaitable[_T]) -> _T | GatewayServiceError | TimeoutError:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check
    except (GatewayServiceError, TimeoutError) as exc:
        return exc


async def _ask_api(options: GatewayOptions) -> GatewayInfo:
    return await fetch_gateway_info(options.api_url, options.token.get_secret_value(), Patience(tries=1))


async def _try_broker(options: GatewayOptions) -> str | None:
    """Connect and declare as the publisher does; return why the broker takes no messages now, if so.

    Raises:
        BrokerUnavailable: It cannot be reached or refused us.
        ConfigurationError: Its URL cannot be used.
    """

    def connect() -> str | None:
        origin = Origin(bot_id_of(options.token.get_secret_value()))
        link = make_link(options.broker_url.get_secret_value(), origin)
        try:
            link.connect()
            link.poll()
            return link.blocked_reason
        finally:
            link.close()

    try:
        return await call_in_thread(connect, name="doctor-broker", timeout_s=CHECK_TIMEOUT_S)
    except TimeoutError:
        raise BrokerUnavailable(str(options.broker_url), f"no answer within {CHECK_TIMEOUT_S:g} s") from None


async def _count_sessions(options: GatewayOptions, info: object) -> int | None:
    """Open the store, write to it, and count the sessions that a start would resume; None: of which shards?"""
    shard_ids = shards_here(options, info)
    num_shards = num_shards_of(options, info)

    def use() -> int | None:
        state = open_state(
            options.state_url.get_secret_value(), Namespace.of(options.token.get_secret_value(), num_shards or 1)
        )
        try:
            state.save(())
            return None if shard_ids is None else sum(state.load(shard_id) is not None for shard_id in shard_ids)
        finally:
            state.close()

    return await call_in_thread(use, name="doctor-state", timeout_s=CHECK_TIMEOUT_S)


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


def _skip(check: str, why: str) -> Finding:
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
        return _skip("clock", "needs an answer of the API with its time")
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
        case int() | None:
            sessions = "" if outcome is None else f", {outcome} sessions to resume"
            return Finding(check="state", verdict="ok", message=f"{options.state_url} is writable{sessions}")
        case _:
            is_file = options.state_url.scheme == "sqlite"
            remedy = "make room, let this user write there" if is_file else "start Redis, check its user and password"
            return Finding(
                check="state",
                verdict="fail",
                message=_reason(outcome, f"{options.state_url} did not answer"),
                cure=f"{remedy}, or set GATEWAY_STATE_URL",
                exit_code=EX_UNAVAILABLE if isinstance(outcome, StateUnavailable | TimeoutError) else EX_CONFIG,
            )


def shards_finding(options: GatewayOptions, info: object, *, resumable: int) -> Finding:
    """Judge the plan: do these shards exist, does Discord want more, and does the identify budget last?"""
    num_shards = num_shards_of(options, info)
    if num_shards is None or not isinstance(info, GatewayInfo):
        return _skip("shards", "needs an answer of the API")
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


def _reason(outcome: object, otherwise: str) -> str:
    return otherwise if isinstance(outcome, TimeoutError) else str(outcome)
