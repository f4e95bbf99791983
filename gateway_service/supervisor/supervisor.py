"""The supervisor: brings a bot's shard processes up, keeps them up, takes them down in order."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from gateway_service.errors import EX_CONFIG, EX_INTERRUPTED, EX_OK
from gateway_service.ipc.messages import ApplyRoutes, Configure
from gateway_service.settings import GatewayOptions, Routes
from gateway_service.state import State
from gateway_service.supervisor.bootstrap import (
    Bootstrap,
    bootstrap,
    configuration,
    make_gateway_watch,
    make_permits,
)
from gateway_service.supervisor.broker_check import Connect, connect_once
from gateway_service.supervisor.child import SHARD_COMMAND
from gateway_service.supervisor.desired import Desired
from gateway_service.supervisor.fleet import Fleet
from gateway_service.supervisor.gateway_info import Patience
from gateway_service.supervisor.identify import PermitOwner
from gateway_service.supervisor.live_settings import LiveSettings, ReadOptions
from gateway_service.supervisor.policy import (
    SHARD_COUNT_CLOSE_CODES,
    GiveUp,
    Policy,
    fatal_close,
    stops_whole_bot,
)
from gateway_service.supervisor.service_manager import ServiceManager
from gateway_service.supervisor.signals import StopSignals
from gateway_service.supervisor.silence import SilenceDetector
from gateway_service.supervisor.silence_watch import SilenceWatch
from gateway_service.supervisor.slot import Slot
from gateway_service.supervisor.status import Snapshot
from gateway_service.supervisor.switchboard import Switchboard
from gateway_service.supervisor.trial import try_start
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# At the start no permit is given before every process has its shards, and these have had a moment to connect. One
# process that is slow to start holds the others up for this long at most.
START_TOGETHER_S: Final = 10.0
GATHER_S: Final = 0.5

Beside = Callable[["Supervisor"], AbstractAsyncContextManager[Any]]


class Supervisor:
    """Runs the shards of one bot on this host.

    As a program: ``sys.exit(Supervisor(options).run())``. Inside another one::

        async with Supervisor(options) as supervisor:
            ...  # shards run; supervisor.snapshot() tells how they are
            exit_code = await supervisor.wait()  # until a fatal cause ends them

    Leaving the block drains: what was received is published, sessions are saved and stay resumable.
    """

    def __init__(
        self,
        options: GatewayOptions,
        *,
        policy: Policy | None = None,
        patience: Patience | None = None,
        command: Sequence[str] = SHARD_COMMAND,
        connect_broker: Connect = connect_once,
        read_options: ReadOptions | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            options: What to run.
            policy: When processes are restarted, given up and killed.
            patience: How long to try Discord's REST API.
            command: Program and arguments of a shard process, ``--ipc-fd`` follows.
            connect_broker: Tells whether the broker can be reached.
            read_options: Reads the settings again, for :meth:`reload_routes` and rolling restarts.
        """
        self._policy = policy or Policy()
        self._patience = patience or Patience()
        self._command = command
        self._connect_broker = connect_broker
        self.fleet: Fleet
        """The shards and processes, once started."""
        self._settings = LiveSettings(options, read_options, self._apply_routes)
        self._serving: asyncio.Task[int] | None = None
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self._exit_code = EX_OK

    def run(self, beside: Beside = nullcontext) -> int:
        """Run until SIGTERM, SIGINT or a fatal cause, and return the exit code. For the main thread of a program.

        The first signal drains, which takes ten seconds at most. Ctrl-C pressed again, or any signal two seconds or
        more after the first, ends everything at once. When this returns, both signals are ignored: the program ends.

        Args:
            beside: What runs from the start of the shards to the end of their drain, given this supervisor.

        Raises:
            GatewayServiceError: It could not start.
        """
        return asyncio.run(self._run(beside))

    async def __aenter__(self) -> Self:
        """Check everything that can be checked, then start the shard processes.

        Raises:
            ConfigurationError: A setting is wrong.
            TokenRefused: Discord does not know the token.
            ServiceUnavailable: API, broker or state store do not answer.
        """
        await self._start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drain and wait for the end; being cancelled meanwhile ends everything at once."""
        self.request_stop("the program ends")
        assert self._serving is not None
        await self._serving

    async def wait(self) -> int:
        """Wait until the service ended, by :meth:`request_stop` or a fatal cause; return its exit code."""
        assert self._serving is not None, "the supervisor is not started"
        return await asyncio.shield(self._serving)

    def request_stop(self, reason: str, exit_code: int = EX_OK) -> None:
        """Begin to drain; returns at once. The first reason counts."""
        if not self._stopping.is_set():
            log_event(
                _log,
                logging.INFO if exit_code == EX_OK else logging.ERROR,
                LogEvent.SERVICE_STOPPING,
                reason=reason,
                exit_code=exit_code,
            )
            self._exit_code = exit_code
            self._stopping.set()

    def snapshot(self) -> Snapshot:
        """Return where every shard and process is now, as of their last reports."""
        return self.fleet.snapshot()

    def reload_routes(self) -> Routes:
        """Read the routes again and apply them to what comes in from now on; no shard reconnects.

        Raises:
            ConfigurationError: They cannot be read; the old ones stay.
        """
        return self._settings.reload_routes()

    def _apply_routes(self, message: ApplyRoutes) -> None:
        for slot in self.fleet.slots:
            slot.send(message)

    # What slots tell.

    def shard_stopped(self, shard_id: int, code: int | None, reason: str) -> None:
        """Discord refused a shard for good: end when no shard is left, or the others would be refused as well."""
        if code in SHARD_COUNT_CLOSE_CODES:
            self._gateway.count_refused(shard_id, code)
        elif stops_whole_bot(code) or not any(slot.has_shards for slot in self.fleet.slots):
            self.request_stop(str(fatal_close(shard_id, code, reason)), EX_CONFIG)

    def _count_refused(self, decision: GiveUp) -> None:
        """Discord refused a shard because of the shard count: end, unless there are sessions that work with it."""
        if self.fleet.has_sessions:
            log_event(_log, logging.ERROR, LogEvent.SHARD_COUNT_REFUSED, reason=decision.reason)
        else:
            self.request_stop(decision.reason, decision.exit_code)

    def slot_given_up(self, index: int, decision: GiveUp) -> None:
        """A process cannot be kept alive: end, so that whoever supervises this service sees it.

        Where its configuration was refused a restart of everything would not help either, so the others go on.
        """
        if decision.exit_code != EX_CONFIG or not any(slot.has_shards for slot in self.fleet.slots):
            self.request_stop(f"shard process {index} is given up: {decision.reason}", decision.exit_code)

    async def _run(self, beside: Beside) -> int:
        main = asyncio.current_task()
        assert main is not None
        service_manager = ServiceManager.taken_from(os.environ)
        with StopSignals(partial(self._stop_for_signal, main), self._kill, self._settings.hang_up) as signals:
            try:
                async with self, beside(self), service_manager.told(self._stopping):
                    return await self.wait()
            except asyncio.CancelledError:
                if signals.came:  # before anything ran
                    return EX_OK
                raise

    def _stop_for_signal(self, main: asyncio.Task[Any], number: signal.Signals) -> None:
        if self._serving is None:
            main.cancel()
        else:
            self.request_stop(f"received {number.name}")

    def _kill(self) -> None:
        self._exit_code = EX_INTERRUPTED
        self._killing.set()

    async def _start(self) -> None:
        options = self._settings.current
        plan = await bootstrap(options, self._patience, self._connect_broker)
        try:
            kept = await asyncio.to_thread(plan.state.desired)
        except BaseException:
            plan.state.close()
            raise
        desired = Desired(plan.state, kept, plan.presence.presence_of)
        policy, settings = self._policy, self._settings
        self._silence = SilenceDetector(min_history=policy.silence_min_history, surprise=policy.silence_surprise)
        self.fleet = Fleet(plan.num_shards, desired, self._silence, settings, partial(self._try_start, plan))
        self._gateway = make_gateway_watch(options, plan, self.fleet.use_gateway, self._count_refused)
        self.fleet.permits = permits = make_permits(options, plan, self._gateway, desired, self.fleet.grant)
        switchboard = Switchboard(permits, self.fleet.commands, self._gateway)
        self.fleet.slots = tuple(
            Slot(
                index,
                block,
                command=self._command,
                configure=partial(self._configure, plan),
                switchboard=switchboard,
                owner=self,
                policy=policy,
            )
            for index, block in enumerate(plan.blocks)
        )
        log_event(
            _log,
            logging.INFO,
            LogEvent.SERVICE_STARTED,
            shards=sum(map(len, plan.blocks)),
            num_shards=plan.num_shards,
            processes=len(plan.blocks),
            gateway=plan.gateway_url,
            broker=str(options.broker_url),
            state=str(options.state_url),
        )
        self._serving = asyncio.create_task(self._serve(permits, plan.state), name="supervisor")

    def _configure(self, plan: Bootstrap, shard_ids: tuple[int, ...]) -> Configure:
        return configuration(self._settings.current, plan, shard_ids, gateway_url=self._gateway.url)

    async def _try_start(self, plan: Bootstrap, options: GatewayOptions) -> None:
        await try_start(self._command, configuration(options, plan, (), gateway_url=self._gateway.url), self._policy)

    async def _grant_permits(self, permits: PermitOwner) -> None:
        """Let the shards of all processes ask before the first is served: the lowest ids identify first (I2)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TOGETHER_S):
                for slot in self.fleet.slots:
                    await slot.answered.wait()
                await asyncio.sleep(GATHER_S)
        await permits.run()

    async def _serve(self, permits: PermitOwner, state: State) -> int:
        """Run permits and processes until a stop is requested, then drain; return the exit code."""
        try:
            async with asyncio.TaskGroup() as group:
                granting = group.create_task(self._grant_permits(permits), name="permits")
                settling = group.create_task(permits.settle(), name="settle-permits")
                asking = group.create_task(self._gateway.run(), name="gateway-watch")
                running = [group.create_task(slot.run(), name=f"process-{slot.index}") for slot in self.fleet.slots]
                killing = group.create_task(self._killing.wait(), name="kill-request")
                watch = SilenceWatch(self.fleet, self._silence, self._policy.silence_window_s)
                watching = group.create_task(watch.run(), name="silence-watch")
                await self._stopping.wait()
                for task in (granting, watching, asking):
                    task.cancel()
                for slot in self.fleet.slots:
                    slot.drain()
                ended = group.create_task(asyncio.wait(running), name="drain")
                await asyncio.wait(
                    [ended, killing], timeout=self._policy.kill_after_s, return_when=asyncio.FIRST_COMPLETED
                )
                for slot, task in zip(self.fleet.slots, running, strict=True):
                    if not task.done():
                        slot.kill()
                await ended
                settling.cancel()
                killing.cancel()
        finally:
            await asyncio.to_thread(state.close)
        log_event(_log, logging.INFO, LogEvent.SERVICE_STOPPED, exit_code=self._exit_code)
        return self._exit_code
