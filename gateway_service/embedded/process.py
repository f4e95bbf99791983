"""One server as our child process: it never outlives us, and it never meets another server of its kind."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from gateway_service.errors import BrokerUnavailable
from gateway_service.lifeline import tied_to_us

LOOPBACK: Final = "127.0.0.1"

# Below the range from which Linux and macOS take the ports of outgoing connections, so that nobody grabs our
# port by chance between a stop and a restart.
_PORTS: Final = range(20_000, 32_000)
_POLL_S: Final = 0.02
_LOG_TAIL_CHARS: Final = 600


@cache
def _spawner() -> ThreadPoolExecutor:
    """Return the thread that spawns all servers and lives as long as our process.

    A server ends with the *thread* that spawned it (see :mod:`gateway_service.lifeline`); one of
    ``asyncio.to_thread`` would take it down before its time.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-spawner")


def free_port() -> int:
    """Return a loopback TCP port on which nothing listens right now."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise BrokerUnavailable(LOOPBACK, "no free TCP port was found")


class ServerProcess:
    """A server program with its own process group and log file."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], log_path: Path, keep_open: Sequence[int] = ()
    ) -> None:
        """Start the program.

        Args:
            argv: Program and arguments, the program as an absolute path.
            env: The whole environment of the program.
            log_path: Where its output goes, appended.
            keep_open: File descriptors that the program inherits and holds for its life.

        Raises:
            BrokerUnavailable: The program cannot be run.
        """
        self._log_path = log_path
        self._program = Path(argv[0]).name
        try:
            with log_path.open("ab") as log:
                spawning = _spawner().submit(
                    subprocess.Popen,
                    tied_to_us(argv),
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                    pass_fds=keep_open,
                )
                self._popen = spawning.result()
        except OSError as exc:
            raise BrokerUnavailable(self._program, exc.strerror or str(exc)) from exc

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, as of ``subprocess``; None while it runs."""
        return self._popen.poll()

    def wait_until(self, is_serving: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the server answers.

        Raises:
            BrokerUnavailable: It ended or stayed silent; the reason holds the end of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not is_serving():
            if not self.is_running:
                raise BrokerUnavailable(self._program, f"it ended with {self._popen.returncode}: {self._log_tail()}")
            if time.monotonic() > deadline:
                raise BrokerUnavailable(self._program, f"no answer after {timeout_s:.0f} s: {self._log_tail()}")
            time.sleep(_POLL_S)

    def terminate(self, timeout_s: float) -> None:
        """Ask the whole process group to end, then insist."""
        self.signal(signal.SIGCONT)  # a frozen process would not see SIGTERM
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            self.signal(signal.SIGKILL)  # what the server itself may have left in its group

    def kill(self) -> None:
        """End the whole process group at once, as the OOM killer or a power cut would."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group; nothing happens when it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _log_tail(self) -> str:
        text = self._log_path.read_text(errors="replace")[-_LOG_TAIL_CHARS:]
        return " | ".join(line.strip() for line in text.splitlines() if line.strip()) or "its log is empty"
