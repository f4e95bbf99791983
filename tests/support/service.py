"""A real ``gateway-service start`` as a child process, connected to a simulator."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway_service.simulator import Simulator
from tests.support.waiting import wait_until
from tests.support.worker import ROOT, worker_environment

STOP_TIMEOUT_S = 60.0


class Service:
    """One supervisor with its shard processes, started as an operator would."""

    def __init__(
        self,
        simulator: Simulator,
        broker_url: str,
        directory: Path,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        on_host: Callable[[list[str]], list[str]] = list,
        working_directory: Path = ROOT,
    ) -> None:
        """Start a service.

        Args:
            simulator: Its Discord.
            broker_url: Where it publishes.
            directory: Where its state and its log are.
            *flags: Of ``gateway-service start``.
            environment: Beside what every service needs.
            on_host: Turns a command line into one that runs on another host.
            working_directory: Whose ``gateway_service`` it is, and whose ``gateway.toml``.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.environment = (
            worker_environment(broker_url, "tasks")
            | {
                "DISCORD_TOKEN": simulator.token,
                "GATEWAY_API_URL": simulator.api_url,
                "GATEWAY_STATE_URL": f"sqlite:///{directory / 'state.db'}",
                "GATEWAY_INTENTS": "all",
                "GATEWAY_CONTROL_ADDRESS": "127.0.0.1:0",
            }
            | dict(environment or {})
        )
        if not self.environment["GATEWAY_STATE_URL"].startswith("sqlite:"):
            # Without a state file to lie beside it would be in the working directory, which others share.
            self.environment.setdefault("GATEWAY_SPOOL_DIR", str(directory / "spool"))
        self._command = on_host([sys.executable, "-m", "gateway_service", "start", *flags])
        self._working_directory = working_directory
        self._log = directory / "service.log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self.environment,
                cwd=self._working_directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def control_port(self) -> int:
        """Return the port of the control API when it listens."""
        address = r'"event":"control.listening".*"address":"[^"]+:(\d+)"|control\.listening address=\S+:(\d+)'
        found = wait_until(lambda: re.search(address, self.log) or self.process.poll() is not None)
        assert found is not True, self.log
        return int(found[1] or found[2])

    def shard_pids(self) -> list[int]:
        """Return the shard processes that run now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [pid for pid in map(int, children.split()) if _is_shard_process(pid)]

    def left_behind(self) -> list[int]:
        """Return the shard processes that run although no supervisor of this service does."""
        assert self.process.poll() is not None
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if _is_shard_process(pid) and _writes_to(pid, self._log)]

    def kill_everything(self) -> None:
        """End the supervisor and every shard process at once, as a power cut would."""
        for pid in [self.process.pid, *self.shard_pids()]:
            signal_to(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Stop it in order and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise


def signal_to(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended already."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def running_service(
    simulator: Simulator,
    broker_url: str,
    directory: Path,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    on_host: Callable[[list[str]], list[str]] = list,
    working_directory: Path = ROOT,
) -> Iterator[Service]:
    service = Service(
        simulator,
        broker_url,
        directory,
        *flags,
        environment=environment,
        on_host=on_host,
        working_directory=working_directory,
    )
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()
        # Supervisors that were killed leave processes behind, which have to end by themselves.
        wait_until(lambda: not service.left_behind(), STOP_TIMEOUT_S)


def _is_shard_process(pid: int) -> bool:
    try:
        return b"gateway_service.shard" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _writes_to(pid: int, log: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/fd/2").readlink() == log
    except OSError:
        return False
