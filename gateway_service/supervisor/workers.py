"""Several Celery workers with solo pools on this host, started, kept and stopped together."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from gateway_service.errors import EX_INTERRUPTED, EX_OK
from gateway_service.supervisor.policy import Policy
from gateway_service.supervisor.service_manager import ServiceManager
from gateway_service.supervisor.signals import StopSignals
from gateway_service.supervisor.worker_process import WORKER_COMMAND, WorkerProcess
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)


class Workers:
    """The workers of ``gateway-service worker``."""

    def __init__(
        self,
        processes: int,
        options: Sequence[str],
        *,
        grace_s: float,
        policy: Policy | None = None,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            processes: How many.
            options: Of ``celery worker``, the same for each.
            grace_s: How long handlers may take to finish after a signal.
            policy: When a worker is started again and given up.
            command: Program and arguments of one worker, before its options.
        """
        self._processes = processes
        self._options = options
        self._grace_s = grace_s
        self._policy = policy or Policy()
        self._command = command
        self._exit_code = EX_OK

    def run(self) -> int:
        """Run until SIGTERM, SIGINT, or a worker that cannot be kept alive; return the exit code.

        The first signal lets the handlers finish that run, an insisting one ends everything at once.
        """
        return asyncio.run(self._run())

    async def _run(self) -> int:
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        workers = [
            WorkerProcess(number, self._options, policy=self._policy, print_line=_print_line, command=self._command)
            for number in range(1, self._processes + 1)
        ]
        with StopSignals(self._stop_for_signal, self._kill):
            async with (
                ServiceManager.taken_from(os.environ).told(self._stopping),
                asyncio.TaskGroup() as group,
            ):
                running = [group.create_task(self._keep(worker), name=f"worker-{worker.number}") for worker in workers]
                killing = group.create_task(self._killing.wait(), name="kill-request")
                await self._stopping.wait()
                for worker in workers:
                    worker.stop()
                ended = group.create_task(asyncio.wait(running), name="warm-shutdown")
                await asyncio.wait([ended, killing], timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
                for worker, task in zip(workers, running, strict=True):
                    if not task.done():
                        worker.kill()
                await ended
                killing.cancel()
        return self._exit_code

    async def _keep(self, worker: WorkerProcess) -> None:
        given_up = await worker.run()
        if given_up is not None:
            self._stop(f"worker {worker.number} is given up: {given_up.reason}", given_up.exit_code)

    def _stop_for_signal(self, number: signal.Signals) -> None:
        self._stop(f"received {number.name}", EX_OK)

    def _stop(self, reason: str, exit_code: int) -> None:
        if not self._stopping.is_set():
            level = logging.INFO if exit_code == EX_OK else logging.ERROR
            log_event(_log, level, LogEvent.WORKERS_STOPPING, reason=reason, exit_code=exit_code)
            self._exit_code = exit_code
            self._stopping.set()

    def _kill(self) -> None:
        self._exit_code = EX_INTERRUPTED
        self._killing.set()


def _print_line(line: bytes) -> None:
    sys.stderr.buffer.write(line + b"\n")
    sys.stderr.buffer.flush()
