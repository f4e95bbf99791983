"""Everything that is checked and asked before the first shard process starts."""

import asyncio
import logging
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway_service.errors import BrokerUnavailable, StateUnavailable
from gateway_service.ipc.messages import Configure
from gateway_service.protocol.budget import IdentifyBudget, reserve_of
from gateway_service.protocol.identify import IdentifyScheduler
from gateway_service.settings import GatewayOptions
from gateway_service.state import Namespace, SessionStore, State, bot_id_of, open_state
from gateway_service.supervisor.broker_check import Connect, check_broker
from gateway_service.supervisor.desired import Desired
from gateway_service.supervisor.gateway_info import GatewayInfo, Patience, fetch_gateway_info, start_limit_of
from gateway_service.supervisor.gateway_watch import GatewayWatch
from gateway_service.supervisor.identify import HandOver, PermitOwner
from gateway_service.supervisor.identify_journal import IdentifyJournal
from gateway_service.supervisor.plan import as_ranges, processes_for, shards_to_run
from gateway_service.supervisor.policy import GiveUp
from gateway_service.supervisor.presence import PresenceProvider
from gateway_service.telemetry import LogEvent, log_event
from gateway_service.tracing import check_tracing

_log: Final = logging.getLogger(__name__)

# A service that was told to stop is gone after ten seconds.
CLAIM_PATIENCE_S: Final = 12.0
_CLAIM_RETRY_S: Final = 0.25
# While shards run, their permits must not wait long for an answer: without one the budget is counted on.
ONE_TRY: Final = Patience(tries=1, timeout_s=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """What a supervisor runs by, beside its options."""

    gateway_url: str
    num_shards: int
    info: GatewayInfo | None
    """What Discord said about this bot; None when the options left nothing to ask."""
    asked_at: float
    """When it was asked, on the clock of the event loop."""
    blocks: tuple[tuple[int, ...], ...]
    """The shards of each process."""
    presence: PresenceProvider
    state: State
    """Open; whoever holds this closes it."""

    @property
    def shard_ids(self) -> tuple[int, ...]:
        """The shards of all processes."""
        return tuple(shard_id for block in self.blocks for shard_id in block)


async def bootstrap(options: GatewayOptions, patience: Patience, connect_broker: Connect) -> Bootstrap:
    """Check what can be checked, so that a mistake is one sentence now and not a loop of restarts later.

    Raises:
        ConfigurationError: A setting is wrong.
        TokenRefused: Discord does not know the token.
        ServiceUnavailable: API or state store do not answer, or on a first start the broker.
    """
    presence = PresenceProvider(options.presence)
    if options.tracing:
        check_tracing()
    asked_at = asyncio.get_running_loop().time()
    gateway_url, num_shards, info = await _gateway(options, patience)
    shard_ids = shards_to_run(options.shards, num_shards)
    blocks = processes_for(shard_ids, options.processes, cpu_count())
    namespace = Namespace.of(options.token.get_secret_value(), num_shards)
    state = await asyncio.to_thread(open_state, options.state_url.get_secret_value(), namespace)
    try:
        warn_of_eviction(state, str(options.state_url))
        await claim_shards(state, shard_ids, str(options.state_url), CLAIM_PATIENCE_S)
        await require_broker(check_broker(options.broker_url, connect_broker), state, shard_ids)
    except BaseException:
        state.close()
        raise
    return Bootstrap(
        gateway_url=gateway_url,
        num_shards=num_shards,
        info=info,
        asked_at=asked_at,
        blocks=blocks,
        presence=presence,
        state=state,
    )


def configuration(
    options: GatewayOptions, plan: Bootstrap, shard_ids: tuple[int, ...], *, gateway_url: str
) -> Configure:
    """Return what the process of some shards works by; the options and the URL are the present ones."""
    return Configure(
        token=options.token,
        gateway_url=gateway_url,
        num_shards=plan.num_shards,
        shard_ids=shard_ids,
        intents=int(options.intents),
        compression=options.compression,
        large_threshold=options.large_threshold,
        broker_url=options.broker_url,
        routes=options.routes.as_mapping(),
        state_url=options.state_url,
        outbox_max_bytes=options.outbox_max_bytes,
        spool_dir=str(options.spool_folder.absolute() / bot_id_of(options.token.get_secret_value())),
        spool_max_bytes=options.spool_max_bytes,
        service_shard_ids=plan.shard_ids,
        tracing=options.tracing,
        log_level=options.log_level,
        log_format=options.log_format,
    )


def make_gateway_watch(
    options: GatewayOptions, plan: Bootstrap, use_url: Callable[[str], None], refuse_count: Callable[[GiveUp], None]
) -> GatewayWatch:
    """Return what asks Discord again; where the options left nothing to ask, it never does."""
    return GatewayWatch(
        plan.gateway_url,
        plan.num_shards,
        None
        if plan.info is None
        else partial(fetch_gateway_info, options.api_url, options.token.get_secret_value(), ONE_TRY),
        is_url_set=options.url is not None,
        is_count_set=options.shard_count != "auto",
        use_url=use_url,
        refuse_count=refuse_count,
    )


def make_permits(
    options: GatewayOptions, plan: Bootstrap, gateway: GatewayWatch, desired: Desired, hand_over: HandOver
) -> PermitOwner:
    """Return the owner of the identify permits; without an answer of Discord's in the pace of every bot."""
    info = plan.info
    budget = IdentifyBudget(
        num_shards=plan.num_shards,
        reserve_percent=options.identify_reserve,
        is_forced=options.force_identify,
        rng=random.random,
    )
    if info is not None:
        budget.learn(start_limit_of(info, plan.asked_at))
    return PermitOwner(
        IdentifyScheduler(1 if info is None else info.max_concurrency, rng=random.random),
        budget,
        IdentifyJournal(plan.state, plan.num_shards, partial(desired.kept_for, plan.shard_ids, plan.num_shards)),
        num_shards=plan.num_shards,
        presence_of=desired.presence_of,
        hand_over=hand_over,
        ask_discord=None if info is None else gateway.ask,
    )


async def claim_shards(
    state: State, shard_ids: Sequence[int], where: str, patience_s: float, retry_s: float = _CLAIM_RETRY_S
) -> None:
    """Make sure that no other service of this state runs a shard of ours; one that ends just now is waited for.

    Raises:
        StateUnavailable: It does not end.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    is_told = False
    while taken := await asyncio.to_thread(state.claim, shard_ids):
        shards = as_ranges(sorted(taken))
        if asyncio.get_running_loop().time() >= deadline:
            raise StateUnavailable(
                where, f"another service runs shards {shards} with it; stop that one, or give each its own --shards"
            )
        if not is_told:
            is_told = True
            log_event(_log, logging.WARNING, LogEvent.SERVICE_WAITING, shards=shards, at_most_s=patience_s)
        await asyncio.sleep(retry_s)


def warn_of_eviction(state: State, where: str) -> None:
    """Say that the store drops what it has when it is full, if so: without permits the pace of IDENTIFY is lost."""
    if (policy := state.eviction_policy) is not None:
        reason = f"its maxmemory-policy is {policy}; set it to noeviction"
        log_event(_log, logging.WARNING, LogEvent.STATE_EVICTS, url=where, reason=reason)


async def require_broker(check: Awaitable[None], state: SessionStore, shard_ids: Sequence[int]) -> None:
    """Make sure that the broker takes us, or that there is a reason to start without it.

    A first start without a broker is a mistake in the settings. But where sessions wait to be resumed they would expire
    meanwhile, and with them the replay of what they missed: the shards connect, and keep what they receive.

    Raises:
        BrokerUnavailable: The broker does not take us, and no session waits.
    """
    try:
        await check
    except BrokerUnavailable as exc:
        sessions = await asyncio.to_thread(lambda: sum(state.load(shard_id) is not None for shard_id in shard_ids))
        if not sessions:
            raise
        log_event(_log, logging.ERROR, LogEvent.SERVICE_WITHOUT_BROKER, reason=str(exc), sessions=sessions)


async def _gateway(options: GatewayOptions, patience: Patience) -> tuple[str, int, GatewayInfo | None]:
    """Return URL and shard count; Discord is asked for what the options leave open."""
    if options.url is not None and options.shard_count != "auto":
        return options.url, options.shard_count, None
    info = await fetch_gateway_info(options.api_url, options.token.get_secret_value(), patience)
    num_shards = info.shards if options.shard_count == "auto" else options.shard_count
    shard_ids = shards_to_run(options.shards, num_shards)
    _log_info(info, num_starts=len(shard_ids), reserve=reserve_of(info.identifies_total, options.identify_reserve))
    return options.url or info.url, num_shards, info


def _log_info(info: GatewayInfo, num_starts: int, reserve: int) -> None:
    log_event(
        _log,
        # Shards with a stored session resume, which is free; how many will is known when they have tried. The others
        # wait, so a start that cannot afford its IDENTIFYs is a start all the same.
        logging.WARNING if info.identifies_remaining - num_starts < reserve else logging.INFO,
        LogEvent.GATEWAY_INFO,
        url=info.url,
        shards=info.shards,
        max_concurrency=info.max_concurrency,
        identifies_remaining=info.identifies_remaining,
        identifies_total=info.identifies_total,
        reserve=reserve,
        reset_after_s=info.reset_after_s,
    )


def cpu_count() -> int:
    """Return how many CPUs this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
