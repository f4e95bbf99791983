"""What this host does itself: each operation as a function of a running supervisor."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from gateway_service.control import arguments as args
from gateway_service.control import replies
from gateway_service.control.caller import first_caller
from gateway_service.control.roll import READ_TIMEOUT_S, HandOn, Roll
from gateway_service.control.service import ANSWERS_WITHIN_S, Peers, Service
from gateway_service.errors import ConfigurationError
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.protocol.constants import shard_id_of
from gateway_service.refusals import (
    ControlError,
    InvalidArgument,
    Misconfigured,
    NotReady,
    NotSupported,
    OperationTimedOut,
    OtherHost,
)
from gateway_service.settings import Routes
from gateway_service.supervisor import ProcessSnapshot

LIVE: Final = "live"
_POLL_S: Final = 0.05


class Host:
    """The supervisor of this host and its node name."""

    def __init__(self, service: Service, name: str, stop: Callable[[str], None]) -> None:
        """Make it.

        Args:
            service: The shards and processes.
            name: Node name.
            stop: Begins the drain of the whole supervisor, for a reason.
        """
        self.service = service
        self.name = name
        self.stop = stop
        self.shard_ids: Final = frozenset(
            shard_id for process in service.snapshot().processes for shard_id in process.shard_ids
        )
        """The shards that run here; which these are never changes."""
        self.roll = Roll(service, name)
        self.peers: Peers | None = None
        """The other supervisors; None while there is no road to them."""
        self.unrouted: Mapping[str, int] = {}
        """By dispatch name, how many messages lie at the broker because nobody subscribed to them."""

    @property
    def num_shards(self) -> int:
        return self.service.snapshot().num_shards

    def shard_of(self, guild_id: int) -> int:
        return shard_id_of(guild_id, self.num_shards)

    def shard(self, shard_id: int) -> ShardStatus:
        return next(shard for shard in self.service.snapshot().shards if shard.shard_id == shard_id)

    def process_of(self, shard_id: int) -> ProcessSnapshot:
        return next(process for process in self.service.snapshot().processes if shard_id in process.shard_ids)


def view_of(shard: ShardStatus, process: ProcessSnapshot, host: str) -> replies.ShardView:
    """Return a shard with what its host and process add."""
    return replies.ShardView(
        **dict(shard),
        host=host,
        process=process.index,
        pid=process.pid,
        restarts=process.restarts,
        lag=shard.pending + shard.spool_rows,
    )


def views(host: Host) -> list[replies.ShardView]:
    """Return every shard of this host in the order of their ids."""
    snapshot = host.service.snapshot()
    by_shard = {shard_id: process for process in snapshot.processes for shard_id in process.shard_ids}
    return [view_of(shard, by_shard[shard.shard_id], host.name) for shard in snapshot.shards]


async def shards(host: Host, _: args.Arguments) -> replies.ShardsReply:
    return replies.ShardsReply(num_shards=host.num_shards, shards=views(host), unrouted=dict(host.unrouted))


async def shard(host: Host, asked: args.ShardArguments) -> replies.ShardReply:
    view = view_of(host.shard(asked.shard_id), host.process_of(asked.shard_id), host.name)
    return replies.ShardReply(shard=view)


async def processes(host: Host, _: args.Arguments) -> replies.ProcessesReply:
    snapshot = host.service.snapshot()
    return replies.ProcessesReply(
        num_shards=snapshot.num_shards,
        processes=[
            replies.ProcessView(
                host=host.name,
                index=process.index,
                state=process.state,
                since=process.since,
                pid=process.pid,
                shard_ids=list(process.shard_ids),
                restarts=process.restarts,
                last_exit=process.last_exit,
                status=process.status,
            )
            for process in snapshot.processes
        ],
    )


async def restart_shard(host: Host, asked: args.RestartShard) -> replies.RestartReply:
    before = host.shard(asked.shard_id)
    host.service.restart_shard(asked.shard_id, asked.mode)
    if not asked.wait_s:
        return replies.RestartReply(shard_ids=[asked.shard_id], outcome="requested")
    await _until(lambda: _came_back(host.shard(asked.shard_id), before), asked.wait_s, [asked.shard_id])
    resumed = host.shard(asked.shard_id).resumes > before.resumes
    return replies.RestartReply(shard_ids=[asked.shard_id], outcome="resumed" if resumed else "identified")


async def restart_process(host: Host, asked: args.RestartProcess) -> replies.RestartReply:
    process = host.process_of(asked.shard_id)
    before = {shard_id: host.shard(shard_id) for shard_id in process.shard_ids}
    restarting = host.roll.restart(process.index)
    shard_ids = list(process.shard_ids)
    await asyncio.sleep(0)  # now it has begun, or was refused
    if restarting.done():
        restarting.result()
    if not asked.wait_s:
        return replies.RestartReply(shard_ids=shard_ids, outcome="requested")

    def is_over() -> bool:
        if not restarting.done():
            return False
        restarting.result()
        return all(_came_back(host.shard(shard_id), before[shard_id]) for shard_id in before)

    await _until(is_over, asked.wait_s, shard_ids)
    resumed = all(host.shard(shard_id).resumes > before[shard_id].resumes for shard_id in before)
    return replies.RestartReply(shard_ids=shard_ids, outcome="resumed" if resumed else "identified")


async def drain(host: Host, _: args.Arguments) -> replies.DrainReply:
    host.stop("drain was asked for")
    return replies.DrainReply(shard_ids=sorted(host.shard_ids))


async def rolling_restart(host: Host, asked: args.RollingRestart) -> replies.Outcome:
    given_up = [process for process in host.service.snapshot().processes if process.state == "FATAL"]
    try:
        await host.roll.begin(asked.max_resume_s, asked.then, _hand_on(host, asked))
    except ConfigurationError as exc:
        raise Misconfigured(f"{exc}; nothing was restarted") from None
    return replies.Outcome(
        replies.RollingRestartReply(hosts=[host.roll.view()]),
        [
            replies.ShardFailure(
                code=NotReady.code,
                message=f"process {process.index} was given up, so the roll passes it over; restart the service",
                shard_id=shard_id,
                host=host.name,
            )
            for process in given_up
            for shard_id in process.shard_ids
        ],
    )


def _hand_on(host: Host, asked: args.RollingRestart) -> HandOn | None:
    """Return what lets the hosts roll that come after this one; None when none does."""
    if not asked.then:
        return None
    first, *rest = asked.then
    if host.name in asked.then or len(set(asked.then)) < len(asked.then):
        raise InvalidArgument(f"rolling_restart: then: names a host twice; {host.name} is the first by itself")
    peers = host.peers
    if peers is None:
        raise no_road(host)

    async def hand_on() -> None:
        answers = await peers.ask(
            "rolling_restart",
            {"max_resume_s": asked.max_resume_s, "then": rest},
            timeout_s=ANSWERS_WITHIN_S["control"] + READ_TIMEOUT_S,
            is_enough=bool,
            host=first,
            caller=first_caller(),
        )
        if not answers:
            raise OtherHost("it does not answer")
        if "error" in answers[0]:
            raise ControlError.from_json(answers[0]["error"])

    return hand_on


def no_road(host: Host) -> NotSupported:
    """Return the refusal of what needs other supervisors, where none can be asked."""
    return NotSupported(f"{host.name} has no road to other supervisors: the broker knows no remote control")


async def rolling_restart_status(host: Host, _: args.Arguments) -> replies.RollingRestartReply:
    return replies.RollingRestartReply(hosts=[host.roll.view()])


async def routes(host: Host, _: args.Arguments) -> replies.RoutesReply:
    return _routes_reply(host, host.service.settings.current.routes)


async def reload_routes(host: Host, _: args.Arguments) -> replies.RoutesReply:
    try:
        return _routes_reply(host, host.service.settings.reload_routes())
    except ConfigurationError as exc:
        raise Misconfigured(f"{exc}; the routes stay as they are") from None


async def where_is(host: Host, asked: args.GuildArguments) -> replies.WhereReply:
    shard_id = host.shard_of(asked.guild_id)
    return replies.WhereReply(
        guild_id=str(asked.guild_id),
        shard_id=shard_id,
        num_shards=host.num_shards,
        host=host.name,
        state=host.shard(shard_id).state,
    )


async def identify_budget(host: Host, _: args.Arguments) -> replies.BudgetReply:
    budget = host.service.snapshot().identify_budget
    return replies.BudgetReply(host=host.name, **asdict(budget))


async def ledger(host: Host, _: args.Arguments) -> replies.LedgerReply:
    return replies.LedgerReply(
        rows=[
            replies.LedgerRow(
                host=host.name,
                shard_id=shard.shard_id,
                session=shard.session,
                received=shard.received,
                published=shard.published,
                pending=shard.pending + shard.spool_rows,
                replayed=shard.replayed,
                duplicates=shard.duplicates,
                gaps=shard.gaps,
                is_balanced=shard.is_balanced,
                received_seq=shard.received_seq,
                published_seq=shard.published_seq,
            )
            for shard in host.service.snapshot().shards
        ]
    )


def _routes_reply(host: Host, table: Routes) -> replies.RoutesReply:
    shard_ids = sorted(host.shard_ids)
    return replies.RoutesReply(
        hosts=[replies.RoutesView(host=host.name, shard_ids=shard_ids, routes=table.as_mapping())]
    )


def _came_back(shard: ShardStatus, before: ShardStatus) -> bool:
    """Tell whether a shard has a session again that it resumed or opened after ``before``."""
    is_newer = shard.resumes > before.resumes or (shard.identifies > before.identifies)
    return shard.state == LIVE and is_newer


async def _until(condition: Callable[[], bool], wait_s: float, shard_ids: Sequence[int]) -> None:
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() >= deadline:
            shown = ", ".join(map(str, shard_ids))
            raise OperationTimedOut(f"shard {shown} was not live again within {wait_s:g} s; it goes on trying")
        await asyncio.sleep(_POLL_S)
