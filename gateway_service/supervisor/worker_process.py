"""One planned Celery worker with a solo pool: kept alive over as many processes as it takes."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from gateway_service.contract import PULSE_FD
from gateway_service.lifeline import tied_to_us
from gateway_service.supervisor.policy import GiveUp, Policy, after_exit, exit_meaning, has_no_pulse
from gateway_service.supervisor.states import ProcessState, ProcessTrigger, advance
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

WORKER_COMMAND: Final = (sys.executable, "-m", "celery", "-A", "gateway_service", "worker", "--pool", "solo")
_CHUNK_BYTES: Final = 64 * 1024


class WorkerProcess:
    """Spawns a worker, passes on what it prints, starts it again when it ends, stops it warmly."""

    def __init__(
        self,
        number: int,
        options: Sequence[str],
        *,
        policy: Policy,
        print_line: Callable[[bytes], None],
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        """Make a plan; nothing is started yet.

        Args:
            number: Counts the workers of this host from 1.
            options: Of ``celery worker``.
            policy: When it is started again and given up.
            print_line: Takes each line of its output, with our prefix and without the line break.
            command: Program and arguments before ``options``.
        """
        self.number = number
        self.state = ProcessState.STOPPED
        self._options = tuple(options)
        self._policy = policy
        self._print_line = print_line
        self._command = tuple(command)
        self._process: Process | None = None
        self._has_pulse = True
        self._exits: list[float] = []
        self._stopping = asyncio.Event()

    async def run(self) -> GiveUp | None:
        """Keep the worker alive until it is stopped (None) or given up."""
        while not self._stopping.is_set():
            exit_code = await self._live()
            if self.state is ProcessState.STOPPED:
                break
            now = asyncio.get_running_loop().time()
            self._exits = [at for at in (*self._exits, now) if now - at < self._policy.window_s]
            decision = after_exit(exit_code, self._exits, now, self._policy)
            if isinstance(decision, GiveUp):
                self._move(ProcessTrigger.GIVE_UP)
                log_event(_log, logging.ERROR, LogEvent.WORKER_FATAL, worker=self.number, reason=decision.reason)
                return decision
            with suppress(TimeoutError):
                async with asyncio.timeout_at(decision.not_before):
                    await self._stopping.wait()
        return None

    def stop(self) -> None:
        """Ask for a warm shutdown: the handler that runs is finished, what waits goes to other workers."""
        self._stopping.set()
        self._move(ProcessTrigger.STOP)
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; its messages go to other workers, the one whose handler runs too."""
        self._stopping.set()
        self._move(ProcessTrigger.STOP)
        if self._process is not None:
            log_event(_log, logging.WARNING, LogEvent.WORKER_KILLED, worker=self.number, pid=self._process.pid)
        self._signal(signal.SIGKILL)

    def _move(self, trigger: ProcessTrigger) -> None:
        self.state = advance(self.state, trigger)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _live(self) -> int:
        """Run one process from its start to its end and return its exit code."""
        self._move(ProcessTrigger.SPAWN)
        # A name of its own for each start: RabbitMQ refuses a worker whose name still belongs to a hung one.
        name = f"worker-{self.number}-{secrets.token_hex(3)}@%h"
        argv = [*self._command, "--hostname", name, *self._options]
        pulse, for_worker = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *tied_to_us(argv),
                stdin=subprocess.DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                start_new_session=True,
                pass_fds=(for_worker,),
                env={**os.environ, PULSE_FD: str(for_worker)},
            )
        except OSError as exc:
            os.close(pulse)
            log_event(_log, logging.ERROR, LogEvent.WORKER_EXITED, worker=self.number, how=str(exc))
            self._move(ProcessTrigger.EXIT)
            return os.EX_OSERR
        finally:
            os.close(for_worker)
        self._process = process
        log_event(_log, logging.INFO, LogEvent.WORKER_STARTING, worker=self.number, pid=process.pid)
        self._move(ProcessTrigger.ANSWER)  # a worker reports to the broker, not to us
        watching = asyncio.create_task(self._watch(process, pulse), name=f"worker-{self.number}-pulse")
        try:
            if self._stopping.is_set():
                process.kill()
            await self._pass_output_on(process)
            exit_code = await process.wait()
        finally:
            watching.cancel()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._process = None
        level = logging.INFO if self.state is ProcessState.STOPPING else logging.WARNING
        log_event(_log, level, LogEvent.WORKER_EXITED, worker=self.number, pid=process.pid, how=exit_meaning(exit_code))
        self._move(ProcessTrigger.EXIT)
        return exit_code

    async def _watch(self, process: Process, pulse: int) -> None:
        """Kill a process without a sign of life. Looks are counted: a pause of ours is none of its own.

        A process that has not given its first one is still starting, however long its imports take.
        """
        loop = asyncio.get_running_loop()
        has_begun, silent_looks = False, 0
        loop.add_reader(pulse, self._feel, pulse)
        try:
            while not has_no_pulse(silent_looks, self._policy):
                self._has_pulse = False
                await asyncio.sleep(self._policy.ping_interval_s)
                has_begun |= self._has_pulse
                is_silent = has_begun and not self._has_pulse and not self._stopping.is_set()
                silent_looks = silent_looks + 1 if is_silent else 0
            log_event(_log, logging.ERROR, LogEvent.WORKER_HUNG, worker=self.number, pid=process.pid)
            process.kill()
        finally:
            loop.remove_reader(pulse)
            os.close(pulse)

    def _feel(self, pulse: int) -> None:
        self._has_pulse = True
        if not os.read(pulse, _CHUNK_BYTES):
            asyncio.get_running_loop().remove_reader(pulse)  # it ends, or will have no pulse any more

    async def _pass_output_on(self, process: Process) -> None:
        assert process.stdout is not None
        prefix, rest = f"worker-{self.number} | ".encode(), b""
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._print_line(prefix + line)
        if rest:
            self._print_line(prefix + rest)
