"""A rolling restart: one process after the other, each only when the shards of the one before are live again.

It brings in the code that is installed now and the settings as they are now, once a process without shards has shown
that these start. A host that is done hands the roll on to the next one, so nobody has to stay who knows of all of them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway_service.control.replies import RollView
from gateway_service.control.service import Service
from gateway_service.errors import ConfigurationError, GatewayServiceError
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.refusals import FAULT, Busy, ControlError
from gateway_service.supervisor import ProcessSnapshot
from gateway_service.supervisor.live_settings import NewSettings
from gateway_service.supervisor.threads import call_in_thread
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

READ_TIMEOUT_S: Final = 30.0
"""How long the settings may take to be read again, the imports of a presence function's module included."""

_POLL_S: Final = 0.1

HandOn = Callable[[], Awaitable[None]]
"""Lets the next host begin; raises ControlError where that does not."""


class RollHalted(Exception):
    """The roll must not go on; the text says why."""


class Roll:
    """The rolling restart of one host: the last one, and the one that may run."""

    def __init__(self, service: Service, host: str, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._service = service
        self._host = host
        self._read_timeout_s = read_timeout_s
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._restarts: set[asyncio.Task[None]] = set()
        self._view = RollView(host=host, state="idle")

    async def begin(self, max_resume_s: float, then: Sequence[str] = (), hand_on: HandOn | None = None) -> None:
        """Read the settings again and start in the background.

        Args:
            max_resume_s: How long the shards of one process may take to be live again.
            then: Hosts that come after this one.
            hand_on: Called when all processes of this host are through, to let these hosts roll.

        Raises:
            Busy: One is under way.
            ConfigurationError: The settings have a fault, or need more than a rolling restart.
        """
        if self._beginning.locked() or (self._task is not None and not self._task.done()):
            raise Busy("a rolling restart is under way on this host")
        async with self._beginning:
            new = await self._read_settings()
        known = self._service.snapshot().processes
        processes = [process for process in known if process.state != "FATAL"]
        self._view = RollView(
            host=self._host,
            state="rolling",
            began_at=time.time(),
            processes=len(processes),
            passed_over=[process.index for process in known if process.state == "FATAL"],
            changed=list(new.changed),
            then=list(then),
        )
        self._task = asyncio.create_task(self._run(new, processes, max_resume_s, hand_on), name="rolling-restart")

    async def _read_settings(self) -> NewSettings:
        """Read them in a thread: a presence function's module may import for seconds, and shards wait for permits."""
        try:
            return await call_in_thread(
                self._service.settings.read, name="rolling-restart-settings", timeout_s=self._read_timeout_s
            )
        except TimeoutError:
            raise ConfigurationError(
                f"presence: importing it took longer than {self._read_timeout_s:g} s (GATEWAY_PRESENCE)"
            ) from None

    def view(self) -> RollView:
        """Return how far it is."""
        shard_ids = [shard.shard_id for shard in self._service.snapshot().shards]
        return self._view.model_copy(update={"shard_ids": shard_ids})

    def restart(self, index: int) -> "asyncio.Task[None]":
        """Begin the restart of one process. It goes on, whoever stops waiting for it: it ends a process that hangs."""
        restarting = asyncio.create_task(self._service.restart_process(index), name=f"restart-{index}")
        self._restarts.add(restarting)
        restarting.add_done_callback(self._restarted)
        return restarting

    def _restarted(self, restarting: "asyncio.Task[None]") -> None:
        self._restarts.discard(restarting)
        if not restarting.cancelled():
            restarting.exception()  # or asyncio complains of one that nobody waited for

    async def close(self) -> None:
        """Give up what is under way; the processes go on as they are."""
        tasks = [task for task in (self._task, *self._restarts) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(
        self, new: NewSettings, processes: Sequence[ProcessSnapshot], max_resume_s: float, hand_on: HandOn | None
    ) -> None:
        try:
            await self._service.take_settings(new)
            for process in processes:
                await self._restart(process, max_resume_s)
                self._note(processes_done=self._view.processes_done + 1)
            if hand_on is not None:
                await self._hand_on(hand_on)
        except (RollHalted, GatewayServiceError) as exc:
            self._end(logging.WARNING, LogEvent.ROLL_HALTED, state="halted", reason=str(exc))
        except Exception:  # noqa: BLE001 - whatever it is, this roll is over and the next one may begin
            log_event(_log, logging.ERROR, LogEvent.CONTROL_FAILED, part="rolling-restart", exc_info=True)
            self._end(logging.WARNING, LogEvent.ROLL_HALTED, state="halted", reason=FAULT)
        else:
            self._end(logging.INFO, LogEvent.ROLL_DONE, state="done")

    async def _hand_on(self, hand_on: HandOn) -> None:
        try:
            await hand_on()
        except ControlError as exc:
            raise RollHalted(f"{self._view.then[0]} did not begin: {exc}") from None

    def _end(self, level: int, event: LogEvent, **changes: object) -> None:
        self._note(**changes)
        told = {"processes_done", "identifies_used", "dispatches_lost", "resumes", "reason"}
        log_event(_log, level, event, **self._view.model_dump(include=told))

    async def _restart(self, process: ProcessSnapshot, max_resume_s: float) -> None:
        before = self._shards_of(process)
        deadline = time.monotonic() + max_resume_s
        restarting = self.restart(process.index)
        await asyncio.wait([restarting], timeout=max_resume_s)
        if not restarting.done():
            raise RollHalted(f"process {process.index} did not run again within {max_resume_s:g} s")
        restarting.result()
        while waiting := [shard.shard_id for shard in self._shards_of(process) if shard.state != "live"]:
            if time.monotonic() >= deadline:
                shown = ", ".join(map(str, waiting))
                raise RollHalted(f"shard {shown} of process {process.index} was not live within {max_resume_s:g} s")
            await asyncio.sleep(_POLL_S)
        after = self._shards_of(process)
        identifies = sum(shard.identifies for shard in after) - sum(shard.identifies for shard in before)
        resumes = sum(shard.resumes for shard in after) - sum(shard.resumes for shard in before)
        lost = lost_between(before, after)
        self._note(
            identifies_used=self._view.identifies_used + identifies,
            resumes=self._view.resumes + resumes,
            dispatches_lost=self._view.dispatches_lost + lost,
        )
        if identifies or lost:
            raise RollHalted(
                f"the shards of process {process.index} used {identifies} identifies and lost {lost} dispatches"
            )
        if unbalanced := [shard.shard_id for shard in after if not shard.is_balanced]:
            raise RollHalted(f"the ledger of shard {', '.join(map(str, unbalanced))} does not add up")

    def _shards_of(self, process: ProcessSnapshot) -> list[ShardStatus]:
        return [shard for shard in self._service.snapshot().shards if shard.shard_id in process.shard_ids]

    def _note(self, **changes: object) -> None:
        self._view = self._view.model_copy(update=changes)


def lost_between(before: Sequence[ShardStatus], after: Sequence[ShardStatus]) -> int:
    """Return how many dispatches nobody has any more.

    A session that went on lost nothing: what had not been confirmed was replayed from ``published_seq``. Of one that
    ended, everything received and not yet confirmed is lost.
    """
    sessions = {shard.shard_id: shard for shard in after}
    return sum(
        max(0, (shard.received_seq or 0) - (shard.published_seq or 0))
        for shard in before
        if shard.session is not None and sessions[shard.shard_id].session != shard.session
    )
