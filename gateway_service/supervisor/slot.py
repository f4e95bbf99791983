"""One planned shard process: kept alive over as many children as it takes."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, assert_never

from gateway_service.errors import ShardUnavailable
from gateway_service.ipc.channel import ChannelBroken
from gateway_service.ipc.messages import (
    ChildMessage,
    Configure,
    Drain,
    Drained,
    Fatal,
    Hello,
    Pong,
    Report,
    SupervisorMessage,
)
from gateway_service.ipc.statuses import ProcessStatus, ShardStatus
from gateway_service.supervisor.child import Child
from gateway_service.supervisor.exits import Exits, Owner
from gateway_service.supervisor.plan import as_ranges
from gateway_service.supervisor.policy import GiveUp, Policy, Restart, exit_meaning
from gateway_service.supervisor.states import ProcessState, ProcessTrigger, advance
from gateway_service.supervisor.status import ProcessSnapshot, Reconnects, ShardBoard
from gateway_service.supervisor.switchboard import Switchboard
from gateway_service.supervisor.watchdog import Watchdog
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# A dead child's last words are already in the socket; this only passes when somebody else holds its end open.
_LAST_WORDS_S: Final = 1.0
_ANSWERS: Final = frozenset({ProcessState.RUNNING, ProcessState.FATAL})


class Slot:
    """Spawns, configures, watches, restarts and drains the process of some shards."""

    def __init__(
        self,
        index: int,
        shard_ids: Sequence[int],
        *,
        command: Sequence[str],
        configure: Callable[[tuple[int, ...]], Configure],
        switchboard: Switchboard,
        owner: Owner,
        policy: Policy,
    ) -> None:
        self.index = index
        self.shard_ids = tuple(shard_ids)
        self.state = ProcessState.STOPPED
        self.answered = asyncio.Event()
        """Set when its process runs, or never will."""
        self._command = command
        self._configure = configure
        self._switchboard = switchboard
        self._owner = owner
        self._policy = policy
        self._board = ShardBoard(shard_ids)
        self._reconnects = Reconnects()
        self._since = time.time()
        self._stop = asyncio.Event()
        self._exits = Exits(policy)
        self._starts_again = False
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
                if self._starts_again:
                    self._starts_again = False
                    continue
                return
            decision = self._exits.add(exit_code, _now(), has_shards=bool(self._board.living))
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
        self._starts_again = False
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

    def send(self, message: SupervisorMessage) -> None:
        """Send a message to the process, if it has its shards; otherwise there is nobody whom it concerns."""
        if self._child is not None and self._is_configured:
            self._child.channel.send(message)

    def tell(self, shard_id: int, message: SupervisorMessage) -> None:
        """Send a message about one shard to its process.

        Raises:
            ShardUnavailable: Discord refused the shard for good, or its process does not run.
        """
        if shard_id not in self._board.living:
            raise ShardUnavailable(shard_id, "Discord refused it for good; correct the cause and restart the service")
        self._running_child(shard_id).channel.send(message)

    def _running_child(self, shard_id: int) -> Child:
        if self._child is None or self.state is not ProcessState.RUNNING:
            raise ShardUnavailable(shard_id, f"its process is {self.state}")
        return self._child

    async def restart(self) -> None:
        """Let the process drain and start again; return when the next one runs. Its shards resume.

        Raises:
            ShardUnavailable: The process does not run, or does not run again.
        """
        child = self._running_child(self.shard_ids[0])
        self._starts_again = True
        self.answered.clear()
        self._move(ProcessTrigger.STOP)
        child.channel.send(Drain(timeout_s=self._policy.drain_timeout_s))
        try:
            async with asyncio.timeout(self._policy.kill_after_s):
                await child.wait()
        except TimeoutError:
            child.kill()
        await self.answered.wait()
        self._running_child(self.shard_ids[0])

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
            restarts=self._exits.count,
            last_exit=self._exits.last,
            status=self._status,
            reconnects=self._reconnects.counts(),
        )

    def _move(self, trigger: ProcessTrigger) -> None:
        state = advance(self.state, trigger)
        if state is not self.state:
            self.state = state
            self._since = time.time()
        if state in _ANSWERS or (state is ProcessState.STOPPED and not self._starts_again):
            self.answered.set()

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
            self._switchboard.gone(self.shard_ids)
            self._board.child_ended()
            self._reconnects.child_ended()
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
                self._reconnects.report(process.reconnects)
                self._switchboard.reported(shards)
                self._status = process
                if self.state is ProcessState.STARTING:
                    self._move(ProcessTrigger.ANSWER)
                    log_event(_log, logging.INFO, LogEvent.PROCESS_RUNNING, process=self.index, pid=child.pid)
            case Pong(nonce=nonce):
                if self._watchdog is not None:
                    self._watchdog.answered(nonce)
            case Fatal(shard_id=shard_id, code=code, reason=reason):
                self._stop_shard(shard_id, code, reason, child)
            case Drained():
                pass  # its exit follows
            case _:
                self._switchboard.receive(message)

    def _stop_shard(self, shard_id: int, code: int | None, reason: str, child: Child) -> None:
        self._switchboard.refused(shard_id)
        self._board.fatal(shard_id, reason if code is None else f"{code}: {reason}", time.time())
        if not self._board.living:
            child.channel.send(Drain(timeout_s=self._policy.drain_timeout_s))  # of what its shards still had
        self._owner.shard_stopped(shard_id, code, reason)


def _now() -> float:
    return asyncio.get_running_loop().time()
