"""``gateway-service dev`` as a newcomer types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.secrecy import seen
from tests.support.waiting import wait_until
from tests.support.worker import ROOT

pytestmark = pytest.mark.slow


def start_dev(directory: Path, *flags: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "DISCORD_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway_service", "dev", *flags],
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def processes_in(directory: Path) -> list[str]:
    """Return the command lines of all processes that run in ``directory``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended meanwhile
            continue
    return found


def lines_in(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def test_a_bounded_run_prints_an_account_without_loss(tmp_path: Path) -> None:
    with start_dev(tmp_path, "--seconds", "3", "--json") as dev:
        out, err = dev.communicate(timeout=120)

    seen((out + err).decode())
    assert dev.returncode == 0, err.decode()
    totals = json.loads(out)
    assert (totals["lost"], totals["pending"]) == (0, 0)
    assert totals["sent"] == totals["published"] == totals["executed"] > 100
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_stops_everything_within_ten_seconds(number: signal.Signals, tmp_path: Path) -> None:
    with start_dev(tmp_path, "--rate", "20", "--shards", "2", "--guilds", "4") as dev:
        executions = tmp_path / ".gateway" / "dev" / "executions.log"
        # READY and GUILD_CREATE run while dev is still starting; what comes after them is its own traffic.
        at_start = 2 + 4
        wait_until(lambda: dev.poll() is not None or lines_in(executions) > at_start)

        signalled_at = time.monotonic()
        dev.send_signal(number)
        out, err = dev.communicate(timeout=120)

    assert time.monotonic() - signalled_at < 10, err.decode()
    seen((out + err).decode())
    assert b"lost 0" in out
    assert dev.returncode == 0
    assert processes_in(tmp_path) == []
