"""One planned shard process: kept alive over as many children as it takes."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, assert_never

from gateway_service.errors import EX_CONFIG, ShardUnavailable
from gateway_service.ipc.channel import ChannelBroken
from gateway_service.ipc.messages import (
    ChildMessage,
    Configure,
    Drain,
    Drained,
    Fatal,
    Hello,
    IdentifySent,
    Permit,
    PermitCancel,
    PermitRequest,
    Pong,
    ProcessStatus,
    Report,
    RestartMode,
    RestartShard,
    ShardStatus,
)
from gateway_service.supervisor.child import Child
from gateway_service.supervisor.identify import PermitOwner
from gateway_service.supervisor.plan import as_ranges
from gateway_service.supervisor.policy import (
    GiveUp,
    Policy,
    Restart,
    after_exit,
    exit_meaning,
)
from gateway_service.supervisor.states import ProcessState, ProcessTrigger, advance
from gateway_service.supervisor.status import ProcessSnapshot, ShardBoard
from gateway_service.supervisor.watchdog import Watchdog
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# A dead child's last words are already in the socket; this only passes when somebody else holds its end open.
_LAST_WORDS_S: Final = 1.0


class Owner(Protocol):
    """Whoever runs the slots and decides what a loss means for the others."""

    def shard_stopped(self, shard_id: int, code: int | None, reason: str) -> None:
        """Discord refused a shard for good."""

    def slot_given_up(self, index: int, decision: GiveUp) -> None:
        """A slot will never start a process again."""


class Slot:
    """Spawns, configures, watches, restarts and drains the process of some shards."""

    def __init__(
        self,
        index: int,
        shard_ids: Sequence[int],
        *,
        command: Sequence[str],
        configure: Callable[[tuple[int, ...]], Configure],
        permits: PermitOwner,
        owner: Owner,
        policy: Policy,
    ) -> None:
        self.index = index
        self.shard_ids = tuple(shard_ids)
        self.state = ProcessState.STOPPED
        self.answered = asyncio.Event()
        """Set when its first process runs, or never will."""
        self._command = command
        self._configure = configure
        self._permits = permits
        self._owner = owner
        self._policy = policy
        self._board = ShardBoard(shard_ids)
        self._since = time.time()
        self._stop = asyncio.Event()
        self._exits: list[float] = []
        self._restarts = 0
        self._last_exit: str | None = None
        self._forget_child()

    def _forget_child(self) -> None:
        self._child: Child | None = None
        self._is_configured = False
        self._status: ProcessStatus | None = None
        self._watchdog: Watchdog | None = None

    async def run(self) -> None:
        """Keep the process alive until it is stopped or given up."""
        while not self._stop.is_set():
            exit_code = await self._live()
            if self.state is ProcessState.STOPPED:
                return
            decision = self._after_exit(exit_code)
            match decision:
                case GiveUp(reason=reason):
                    self._move(ProcessTrigger.GIVE_UP)
                    log_event(_log, logging.ERROR, LogEvent.PROCESS_FATAL, process=self.index, reason=reason)
                    self._owner.slot_given_up(self.index, decision)
                    return
                case Restart(not_before=not_before):
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(not_before):
                            await self._stop.wait()
                case _:
                    assert_never(decision)

    def drain(self) -> None:
        """Tell the process to publish what it has and to end; nothing starts again."""
        self._stop.set()
        self._move(ProcessTrigger.STOP)
        if self._child is None:
            return
        if self._is_configured:
            self._child.channel.send(Drain(timeout_s=self._policy.drain_timeout_s))
        else:
            self._child.kill()  # it has no shards yet, so nothing to drain

    def kill(self) -> None:
        """End the process at once; nothing starts again."""
        self._stop.set()
        self._move(ProcessTrigger.STOP)
        if self._child is not None:
            log_event(_log, logging.WARNING, LogEvent.PROCESS_KILLED, process=self.index, pid=self._child.pid)
            self._child.kill()

    def grant(self, shard_id: int, presence: dict[str, Any] | None) -> None:
        """Hand a permit on to the process, if it still lives."""
        if self._child is not None:
            self._child.channel.send(Permit(shard_id=shard_id, presence=presence))

    def restart_shard(self, shard_id: int, mode: RestartMode) -> None:
        """Let a shard make another connection.

        Raises:
            ShardUnavailable: Discord refused the shard for good, or its process does not run.
        """
        if shard_id not in self._board.living:
            raise ShardUnavailable(shard_id, "Discord refused it for good; correct the cause and restart the service")
        if self._child is None or self.state is not ProcessState.RUNNING:
            raise ShardUnavailable(shard_id, f"its process is {self.state}")
        self._child.channel.send(RestartShard(shard_id=shard_id, mode=mode))

    def shards(self) -> tuple[ShardStatus, ...]:
        """Return where each shard of the slot is."""
        return self._board.shards(self.state, self._since)

    @property
    def has_shards(self) -> bool:
        """False when Discord refused every shard of the slot, or the slot is given up."""
        return self.state is not ProcessState.FATAL and bool(self._board.living)

    def snapshot(self) -> ProcessSnapshot:
        """Return where the process is."""
        return ProcessSnapshot(
            index=self.index,
            state=self.state,
            since=self._since,
            pid=self._child.pid if self._child is not None and self._child.is_running else None,
            shard_ids=self.shard_ids,
            restarts=self._restarts,
            last_exit=self._last_exit,
            status=self._status,
        )

    def _move(self, trigger: ProcessTrigger) -> None:
        state = advance(self.state, trigger)
        if state is not self.state:
            self.state = state
            self._since = time.time()
        if state in {ProcessState.RUNNING, ProcessState.FATAL}:
            self.answered.set()

    def _after_exit(self, exit_code: int) -> Restart | GiveUp:
        now = _now()
        self._exits = [at for at in (*self._exits, now) if now - at < self._policy.window_s]
        self._restarts += 1
        self._last_exit = exit_meaning(exit_code)
        if not self._board.living:
            return GiveUp("Discord refused every shard of it", EX_CONFIG)
        return after_exit(exit_code, self._exits, now, self._policy)

    async def _live(self) -> int:
        """Run one child from its start to its end and return its exit code."""
        self._move(ProcessTrigger.SPAWN)
        try:
            child = await Child.spawn(self._command)
        except OSError as exc:
            log_event(_log, logging.ERROR, LogEvent.PROCESS_FAILED, process=self.index, reason=str(exc))
            self._move(ProcessTrigger.EXIT)
            return os.EX_OSERR
        self._child = child
        log_event(
            _log,
            logging.INFO,
            LogEvent.PROCESS_STARTING,
            process=self.index,
            pid=child.pid,
            shards=as_ranges(self._board.living),
        )
        try:
            if self._stop.is_set():
                child.kill()
            exit_code = await self._attend(child)
        finally:
            await child.release()
            self._permits.gone(self.shard_ids)
            self._board.child_ended()
            self._forget_child()
        was_asked = self.state is ProcessState.STOPPING
        log_event(
            _log,
            logging.INFO if was_asked else logging.WARNING,
            LogEvent.PROCESS_EXITED,
            process=self.index,
            pid=child.pid,
            how=exit_meaning(exit_code),
        )
        self._move(ProcessTrigger.EXIT)
        return exit_code

    async def _attend(self, child: Child) -> int:
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive(child), name=f"process-{self.index}-receive")
            self._watchdog = Watchdog(self.index, child, lambda: self.state, self._policy)
            watching = group.create_task(self._watchdog.run(), name=f"process-{self.index}-watch")
            exit_code = await child.wait()
            watching.cancel()
            await asyncio.wait([receiving], timeout=_LAST_WORDS_S)
            receiving.cancel()
        return exit_code

    async def _receive(self, child: Child) -> None:
        try:
            while (message := await child.channel.receive()) is not None:
                self._handle(message, child)
        except ChannelBroken as exc:
            log_event(_log, logging.ERROR, LogEvent.PROCESS_FAILED, process=self.index, pid=child.pid, reason=str(exc))
            child.kill()

    def _handle(self, message: ChildMessage, child: Child) -> None:
        match message:
            case Hello():
                if self.state is ProcessState.STARTING:
                    child.channel.send(self._configure(self._board.living))
                    self._is_configured = True
            case Report(shards=shards, process=process):
                self._board.report(shards)
                self._status = process
                if self.state is ProcessState.STARTING:
                    self._move(ProcessTrigger.ANSWER)
                    log_event(_log, logging.INFO, LogEvent.PROCESS_RUNNING, process=self.index, pid=child.pid)
            case Pong(nonce=nonce):
                if self._watchdog is not None:
                    self._watchdog.answered(nonce)
            case PermitRequest(shard_id=shard_id):
                self._permits.request(shard_id)
            case PermitCancel(shard_id=shard_id):
                self._permits.cancel(shard_id)
            case IdentifySent(shard_id=shard_id):
                self._permits.sent(shard_id)
            case Fatal(shard_id=shard_id, code=code, reason=reason):
                self._stop_shard(shard_id, code, reason, child)
            case Drained():
                pass  # its exit follows
            case _:
                assert_never(message)

    def _stop_shard(self, shard_id: int, code: int | None, reason: str, child: Child) -> None:
        self._permits.cancel(shard_id)
        self._board.fatal(shard_id, reason if code is None else f"{code}: {reason}", time.time())
        if not self._board.living:
            child.channel.send(Drain(timeout_s=self._policy.drain_timeout_s))  # of what its shards still had
        self._owner.shard_stopped(shard_id, code, reason)


def _now() -> float:
    return asyncio.get_running_loop().time()
