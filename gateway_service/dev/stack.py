"""The parts of ``dev`` and the order in which they start and stop."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from celery import Celery

from gateway_service.contract import DEFAULT_GROUP, queue_name
from gateway_service.control.plane import ControlPlane
from gateway_service.dev.counting import EVENTS
from gateway_service.dev.executions import EXECUTIONS_FILE_VARIABLE, ExecutionCounter, ExecutionLog
from gateway_service.embedded import BrokerChoice, PrivateBroker, find_broker
from gateway_service.embedded.process import ServerProcess, free_port
from gateway_service.errors import GatewayServiceError
from gateway_service.settings import GatewayOptions
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.simulator.traffic import BUSY
from gateway_service.supervisor import Supervisor
from gateway_service.supervisor.policy import Policy

_WORKER_START_TIMEOUT_S: Final = 60.0
_SHARDS_START_TIMEOUT_S: Final = 60.0
# Ctrl-C has ten seconds for everything, on a busy machine, too; nothing here is worth more of them.
_STOP_TIMEOUT_S: Final = 4.0
_POLICY: Final = Policy(drain_timeout_s=2.0, kill_after_s=_STOP_TIMEOUT_S)
_POLL_S: Final = 0.1
# Far below the 41 s of Discord, so that the status soon has a latency to show.
_HEARTBEAT_INTERVAL_MS: Final = 5_000


def _task_modules() -> list[str]:
    """Return what the worker loads: the user's modules, else the examples where they are, and the counter."""
    given = os.environ.get("GATEWAY_TASKS")
    # Celery looks in the working directory first, wherever this program itself was started from.
    if not given and (Path("tasks").is_dir() or find_spec("tasks") is not None):
        given = "tasks"
    return [*([given] if given else []), "gateway_service.dev.counting"]


class DevStackFailed(GatewayServiceError):
    """A part of the development stack did not come up."""


@dataclass(frozen=True, kw_only=True)
class DevConfig:
    """What ``dev`` was asked for."""

    broker: BrokerChoice = "auto"
    shards: int = 4
    processes: int = 2
    guilds: int = 40
    rate: float = 50.0
    """Dispatches per second over all shards."""
    directory: Path = Path(".gateway/dev")
    """Logs, sessions and the broker's data; replaceable at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The three counts of ``dev`` and what follows from them."""

    sent: int
    """Dispatches the simulator put on a wire."""
    published: int
    """Dispatches the broker confirmed."""
    executed: int
    """Dispatches that ran as a task."""
    pending: int
    """Sent and not executed yet."""
    lost: int = 0
    """Sent, not executed, and waiting nowhere; only known when all is still, see :meth:`DevStack.last_totals`."""
    duplicates: int
    """Task runs beyond the first of a dispatch."""

    @property
    def is_settled(self) -> bool:
        """Everything that was sent has arrived everywhere; shard processes report once per second."""
        return not self.pending and self.published >= self.sent

    def with_waiting(self, waiting: int) -> "Totals":
        """Return the totals when no more than ``waiting`` dispatches can still run: the others are lost."""
        pending = min(self.pending, waiting)
        return replace(self, pending=pending, lost=self.pending - pending)

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


class DevStack:
    """Broker, worker, Flower, simulator and supervisor.

    The worker comes before the simulator, so that its queues exist before the first dispatch; everything
    stops in the opposite order.
    """

    def __init__(self, config: DevConfig, progress: Callable[[str], None]) -> None:
        self._config = config
        self._progress = progress
        self._stack = AsyncExitStack()
        self._traffic: asyncio.Task[int] | None = None
        self._celery: list[ServerProcess] = []
        self._celery_end: asyncio.Task[None] | None = None
        self.executions: ExecutionCounter

    @property
    def directory(self) -> Path:
        """Where the logs are."""
        return self._config.directory

    async def stop(self) -> None:
        """Stop every part; what did not start is passed over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stop_celery())
            group.create_task(self._stack.aclose())

    async def start(self) -> None:
        """Start every part and wait until all shards are connected.

        Raises:
            GatewayServiceError: A part did not come up; what had started is stopped again.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        directory = self._config.directory
        directory.mkdir(parents=True, exist_ok=True)
        for stale in ("executions.log", "worker.log", "flower.log", "state.db", "state.db-wal", "state.db-shm"):
            (directory / stale).unlink(missing_ok=True)
        log = ExecutionLog(directory / "executions.log")
        log.close()
        self.executions = ExecutionCounter(log.path)

        self.broker = await self._start_broker()
        self.simulator = await self._stack.enter_async_context(
            Simulator(
                SimulatorConfig(
                    shards=self._config.shards,
                    guilds=self._config.guilds,
                    max_concurrency=self._config.shards,
                    heartbeat_interval_ms=_HEARTBEAT_INTERVAL_MS,
                )
            )
        )
        self._stack.push_async_callback(self._stop_celery)
        self.worker = self._start_celery("worker", "--loglevel", "info", "--task-events", "--concurrency", "2")
        self.flower_port = free_port()
        self.flower = self._start_celery(
            "flower", "--address=127.0.0.1", f"--port={self.flower_port}", "--logging=warning"
        )
        self._progress("worker, until it answers")
        await asyncio.to_thread(self.worker.wait_until, self._worker_answers, _WORKER_START_TIMEOUT_S)
        self._progress(f"{self._config.processes} shard processes, {self._config.shards} shards")
        options = self._options()
        plane = self._stack.enter_context(ControlPlane.of(options))
        self.supervisor = await self._stack.enter_async_context(Supervisor(options, policy=_POLICY))
        await self._stack.enter_async_context(plane.opened(self.supervisor))
        self.control_address = plane.address
        try:
            await self.simulator.wait_for_shards(range(self._config.shards), timeout_s=_SHARDS_START_TIMEOUT_S)
        except TimeoutError:
            raise DevStackFailed(f"the shards did not connect within {_SHARDS_START_TIMEOUT_S:.0f} s") from None

    async def _start_broker(self) -> PrivateBroker:
        broker = find_broker(self._config.broker)
        self._progress(f"broker: {broker.name}")
        self._stack.push_async_callback(asyncio.to_thread, broker.close)
        await asyncio.to_thread(broker.start)
        return broker

    def _start_celery(self, *arguments: str) -> ServerProcess:
        """Start ``celery -A gateway_service ...`` with the environment a user would give it."""
        name = arguments[0]
        self._progress(name)
        directory = self._config.directory.absolute()
        process = ServerProcess(
            [sys.executable, "-m", "celery", "-A", "gateway_service", *arguments],
            {
                **os.environ,
                "DISCORD_TOKEN": self.simulator.token,
                "GATEWAY_API_URL": self.simulator.api_url,
                "GATEWAY_BROKER_URL": self.broker.url,
                "GATEWAY_TASKS": ",".join(_task_modules()),
                EXECUTIONS_FILE_VARIABLE: str(directory / "executions.log"),
            },
            directory / f"{name}.log",
        )
        self._celery.append(process)
        return process

    async def _stop_celery(self) -> None:
        """Stop worker and Flower; whoever asks again waits for the same end."""
        if self._celery_end is None:
            self._celery_end = asyncio.create_task(self._terminate_celery(), name="dev-stop-celery")
        await self._celery_end

    async def _terminate_celery(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(process.terminate, _STOP_TIMEOUT_S) for process in self._celery))

    def _worker_answers(self) -> bool:
        with Celery("dev", broker=self.broker.url) as app:
            return bool(app.control.ping(timeout=0.5))

    def _options(self) -> GatewayOptions:
        return GatewayOptions(
            token=self.simulator.token,
            api_url=self.simulator.api_url,
            broker_url=self.broker.url,
            state_url=f"sqlite:///{(self._config.directory / 'state.db').absolute()}",
            shard_count=self._config.shards,
            processes=self._config.processes,
            intents="all",
            control_address="127.0.0.1:0",
            log_level="warning",
        )

    def start_traffic(self) -> None:
        """Begin to dispatch; it goes on until :meth:`drain`."""
        self._traffic = asyncio.create_task(self.simulator.traffic(self._config.rate, mix=BUSY), name="dev-traffic")

    async def drain(self, timeout_s: float) -> None:
        """Stop the traffic and wait until every dispatch was executed, or until that takes too long."""
        if self._traffic is not None:
            self._traffic.cancel()
            await asyncio.wait([self._traffic])
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self.totals().is_settled and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL_S)

    async def last_totals(self) -> Totals:
        """Return the totals of a drained stack; if something has not run, end the worker and look where it waits.

        A worker that ended in order has given back what it had not begun, so the queues hold all that still can run.
        """
        totals = self.totals()
        if not totals.pending:
            return totals
        await self._stop_celery()
        totals = self.totals()
        if self.worker.exit_code != 0:
            return totals
        unpublished = max(0, totals.sent - totals.published)
        return totals.with_waiting(unpublished + await asyncio.to_thread(self._count_waiting))

    def _count_waiting(self) -> int:
        """Return how many messages are in the queues of the counting handler."""
        with Celery("dev", broker=self.broker.url) as app, app.connection_for_read() as connection:
            return sum(_messages_in(connection, queue_name(DEFAULT_GROUP, event)) for event in EVENTS)

    def totals(self) -> Totals:
        """Compare what was sent with what was executed, dispatch by dispatch."""
        self.executions.refresh()
        sent_ids = self.simulator.sent_ids()
        return Totals(
            sent=len(sent_ids),
            published=sum(shard.published for shard in self.supervisor.snapshot().shards),
            executed=self.executions.executed,
            pending=len(sent_ids - self.executions.runs.keys()),
            duplicates=self.executions.duplicates,
        )


def _messages_in(connection: Any, queue: str) -> int:
    channel = connection.channel()
    try:
        found = channel.queue_declare(queue, passive=True)
    except connection.channel_errors:  # on Redis an empty queue does not exist
        return 0
    channel.close()
    return int(found.message_count)
