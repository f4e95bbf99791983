"""The shard process: its shards on one event loop, one publisher thread, one channel to the supervisor."""

import asyncio
import logging
import random
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final, assert_never

from gateway_service.contract import session_hash
from gateway_service.errors import SpoolUnavailable
from gateway_service.ipc.channel import ChildChannel
from gateway_service.ipc.messages import (
    ApplyRoutes,
    ChildMessage,
    Command,
    Configure,
    Drain,
    Drained,
    GatewayUrl,
    Permit,
    Ping,
    Pong,
    Report,
    RestartShard,
)
from gateway_service.ipc.statuses import HistogramCounts, ProcessStatus
from gateway_service.metrics import Histogram
from gateway_service.protocol.constants import HANDOVER_CLOSE_CODE
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.progress import caught_up
from gateway_service.protocol.session import Session
from gateway_service.publisher import Outbox, Owner, PublisherState, PublisherThread, Rung, Spool, Spooler, make_link
from gateway_service.publisher.envelope import Origin
from gateway_service.publisher.rungs import is_lower, lowest
from gateway_service.publisher.spans import make_spans
from gateway_service.settings.routes import parse_routes
from gateway_service.shard.books import Books
from gateway_service.shard.keeper import SessionKeeper
from gateway_service.shard.shard import Shard
from gateway_service.shard.stored import load_stored
from gateway_service.state import Namespace, State, bot_id_of, open_state
from gateway_service.telemetry import LogEvent, log_event
from gateway_service.waiting import is_set_within

_log: Final = logging.getLogger(__name__)

# How often the machines learn how far the broker is.
TICK_S: Final = 0.25
# Sessions are saved and a report goes out this often; the report also at every change of state.
REPORT_S: Final = 1.0
# Without a supervisor nobody says how long a drain may take; this leaves room inside the 10 s of a stop.
DRAIN_TIMEOUT_S: Final = 7.0

_RSS_UNIT_BYTES: Final = 1 if sys.platform == "darwin" else 1024  # getrusage(2)


class ShardProcess:
    """Runs until the supervisor says drain, goes away, or SIGTERM arrives; then flushes, saves and ends."""

    def __init__(self, channel: ChildChannel, configure: Configure) -> None:
        self._channel = channel
        self._configure = configure
        owner = Owner(
            num_shards=configure.num_shards,
            shard_ids=configure.shard_ids,
            service_shard_ids=configure.service_shard_ids,
        )
        self._spool = Spool(Path(configure.spool_dir), configure.spool_max_bytes, owner)
        self._outbox = Outbox(configure.outbox_max_bytes, self._spool)
        self._spooler = Spooler(self._spool, self._outbox)
        broker_url = configure.broker_url.get_secret_value()
        spans = make_spans(tracing=configure.tracing)
        origin = Origin(bot_id_of(configure.token.get_secret_value()))
        self._publisher = PublisherThread(lambda: make_link(broker_url, origin), self._outbox, spans)
        self._shards: dict[int, Shard] = {}
        self._rung = Rung.CONFIRMING
        self._heartbeats = Histogram()
        self._endings: Counter[tuple[str, str]] = Counter()
        self._changed = asyncio.Event()
        self._drain_timeout_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve until told to drain.

        Raises:
            StateUnavailable: The session store cannot be read. Starting without its sessions would spend an
                IDENTIFY for each shard, so the process ends and its supervisor tries again.
            ExceptionGroup: A fault of our own code in one of the parts.
        """
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._request_drain, DRAIN_TIMEOUT_S)
        state = await asyncio.to_thread(self._open_state)
        self._keeper = SessionKeeper(state)
        await asyncio.to_thread(self._spooler.open)
        num_shards, shard_ids = self._configure.num_shards, self._configure.shard_ids
        sessions, ledgers = await asyncio.to_thread(load_stored, state, num_shards, shard_ids)
        self._books = Books(self._outbox, ledgers)
        for shard_id in shard_ids:
            self._shards[shard_id] = self._make_shard(shard_id, await self._caught_up(sessions.get(shard_id)))
        self._books.begin(time.time())
        self._step()
        self._spooler.start()
        self._publisher.start()
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(self._receive(), name="ipc-receive"),
                group.create_task(self._tick(), name="tick"),
                group.create_task(self._report(), name="report"),
            ]
            parts.extend(
                group.create_task(shard.driver.run(), name=f"shard-{shard.shard_id}") for shard in self._shards.values()
            )
            await self._drain(await self._drain_timeout_s)
            for part in parts:
                part.cancel()
        await self._keeper.close()
        await asyncio.to_thread(self._spooler.close)  # who takes it over has to find in the store how far it goes
        state.close()
        self._channel.send(self._make_report())  # the last numbers, flush included
        self._channel.send(Drained())
        await self._channel.flush()

    def _open_state(self) -> State:
        configure = self._configure
        namespace = Namespace.of(configure.token.get_secret_value(), configure.num_shards)
        return open_state(configure.state_url.get_secret_value(), namespace)

    def _make_shard(self, shard_id: int, session: Session | None) -> Shard:
        configure = self._configure
        machine = Machine(
            shard_id=shard_id,
            num_shards=configure.num_shards,
            token=configure.token.get_secret_value(),
            intents=configure.intents,
            compression=configure.compression,
            gateway_url=configure.gateway_url,
            rng=random.random,
            session=session,
            large_threshold=configure.large_threshold,
        )
        return Shard(
            machine,
            self._outbox,
            self._keeper,
            self._books,
            self._tell_supervisor,
            routes=parse_routes(configure.routes),
            heartbeats=self._heartbeats,
            endings=self._endings,
        )

    async def _caught_up(self, session: Session | None) -> Session | None:
        """Return a stored session as far as the disk has its dispatches: these are not to be replayed."""
        if session is None:
            return None
        self._keeper.permitted(session.shard_id, session.permit)
        name = session_hash(session.session_id)
        try:
            on_disk = await asyncio.to_thread(self._spool.following, name, session.seq)
        except SpoolUnavailable:
            return session  # the publisher will meet the same fault
        if on_disk:
            session = caught_up(session, ((each.seq, each.event, each.raw) for each in on_disk))
            self._books.caught_up(name, session.seq, len(on_disk))
        return session

    def _tell_supervisor(self, message: ChildMessage) -> None:
        self._channel.send(message)

    def _request_drain(self, timeout_s: float) -> None:
        if not self._drain_timeout_s.done():
            self._drain_timeout_s.set_result(timeout_s)

    async def _receive(self) -> None:
        while (message := await self._channel.receive()) is not None:
            match message:
                case Ping(nonce=nonce):
                    self._channel.send(Pong(nonce=nonce))
                case Permit(shard_id=shard_id, number=number, presence=presence):
                    self._keeper.permitted(shard_id, number)
                    self._shards[shard_id].driver.grant_permit(presence)
                case Command(shard_id=shard_id):
                    self._shards[shard_id].requests.perform(message)
                case RestartShard(shard_id=shard_id, mode=mode):
                    self._shards[shard_id].restart(resume=mode == "resume")
                case GatewayUrl(url=url):
                    for shard in self._shards.values():
                        shard.use_gateway(url)
                case ApplyRoutes(routes=routes):
                    for shard in self._shards.values():
                        shard.routes = parse_routes(routes)
                case Drain(timeout_s=timeout_s):
                    self._request_drain(timeout_s)
                case Configure():
                    raise AssertionError("a shard process is configured once")
                case _:
                    assert_never(message)
        # The supervisor is gone. Another one may take these shards over, so they must not stay here.
        self._request_drain(DRAIN_TIMEOUT_S)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for failure in (self._publisher.failure, self._spooler.failure, self._keeper.failure):
                if failure is not None:
                    raise failure
            for shard in self._shards.values():
                shard.refresh()
                if shard.has_changed():
                    self._changed.set()
            self._step()

    async def _report(self) -> None:
        while True:
            self._changed.clear()
            for shard in self._shards.values():
                shard.refresh()
            self._books.check()
            self._save_sessions()
            self._channel.send(self._make_report())
            await is_set_within(self._changed, REPORT_S)

    def _step(self) -> None:
        """Notice what the spooler found and lost, and another rung."""
        while self._spooler.adoptions:
            self._books.adopted(self._spooler.adoptions.popleft(), time.time())
        while self._spooler.losses:
            self._books.lost(self._spooler.losses.popleft(), time.time())
        is_up = self._publisher.state is PublisherState.UP
        rung = lowest(shard.rung(is_broker_up=is_up) for shard in self._shards.values())
        if self._outbox.has_spooled:  # perhaps of shards that ran here before
            rung = lowest((rung, Rung.SPOOL))
        if rung is self._rung:
            return
        log_event(
            _log,
            logging.WARNING if is_lower(rung, self._rung) else logging.INFO,
            LogEvent.OUTBOX_RUNG,
            rung=rung,
            before=self._rung,
            pending_bytes=self._outbox.pending_bytes,
            spool_rows=self._spool.rows,
            spool_bytes=self._spool.size_bytes,
        )
        self._rung = rung
        self._changed.set()

    def _make_report(self) -> Report:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        process = ProcessStatus(
            broker=self._publisher.state.value,
            broker_error=self._publisher.last_error,
            rung=self._rung,
            pending_bytes=self._outbox.pending_bytes,
            outbox_max_bytes=self._outbox.max_bytes,
            spool_bytes=self._spool.size_bytes,
            spool_rows=self._spool.rows,
            spool_max_bytes=self._spool.max_bytes,
            spool_error=self._spooler.error,
            state_error=self._keeper.error,
            confirm_lag_s=self._outbox.counts().lag_s(time.time()),
            cpu_s=usage.ru_utime + usage.ru_stime,
            max_rss_bytes=usage.ru_maxrss * _RSS_UNIT_BYTES,
            confirm_latency=HistogramCounts.of(self._publisher.confirm_latency),
            heartbeat_latency=HistogramCounts.of(self._heartbeats),
            reconnects=tuple((*of, count) for of, count in self._endings.items()),
        )
        return Report(shards=tuple(shard.status() for shard in self._shards.values()), process=process)

    def _save_sessions(self) -> None:
        for shard in self._shards.values():
            shard.mark()
        sessions = [session for shard in self._shards.values() if (session := shard.session) is not None]
        self._keeper.save(sessions, self._books.entries())

    async def _drain(self, timeout_s: float) -> None:
        """Take no further dispatch, publish what is here, note how far that went, leave resumably."""
        began = time.monotonic()
        await asyncio.gather(*(shard.drain(timeout_s / 2) for shard in self._shards.values()))
        flushed = await asyncio.to_thread(self._publisher.stop, timeout_s - (time.monotonic() - began))
        await asyncio.to_thread(self._spooler.stop)
        self._step()  # its last writing may have come upon a damaged file, of which the store has to know
        for shard in self._shards.values():
            shard.refresh()
        self._save_sessions()
        await asyncio.gather(*(shard.driver.finish(HANDOVER_CLOSE_CODE) for shard in self._shards.values()))
        log_event(
            _log,
            logging.INFO if flushed else logging.WARNING,
            LogEvent.PROCESS_DRAINED,
            flushed=flushed,
            pending_bytes=self._outbox.pending_bytes,
            spool_rows=self._spool.rows,
        )
