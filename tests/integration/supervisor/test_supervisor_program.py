"""The supervisor as a program: signals, and what becomes of its children when it dies."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from gateway_service.errors import EX_INTERRUPTED, EX_OK
from gateway_service.supervisor.policy import SAME_CTRL_C_S
from tests.support.stand_ins import STAND_IN, is_alive
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ROOT = Path(__file__).parents[3]
PROGRAM = STAND_IN.with_name("stand_in_supervisor.py")


@pytest.fixture
def program(tmp_path, journal):
    """Return a context manager that runs the program and leaves nothing behind."""

    @asynccontextmanager
    async def run(*behaviour, broker="ready", **variables):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, PROGRAM, str(tmp_path / "state.db"), broker),
            *(sys.executable, "-S", str(STAND_IN), "--journal", str(journal.path), *behaviour),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )
        try:
            yield process
        finally:
            for pid in [process.pid, *(entry["pid"] for entry in journal("started"))]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await process.communicate()

    return run


def has_pending_signal(pid):
    return "ShdPnd:\t0000000000000000" not in Path(f"/proc/{pid}/status").read_text()


async def configured(journal):
    await until(lambda: len(journal("configured")) == 2)
    return [entry["pid"] for entry in journal("configured")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_exits_0(program, journal, number):
    async with program() as process:
        pids = await configured(journal)
        process.send_signal(number)

        assert await process.wait() == EX_OK

    assert len(journal("drain")) == 2
    assert not any(map(is_alive, pids))


async def test_a_second_signal_ends_everything_at_once(program, journal):
    async with program("--ignore-drain") as process:
        pids = await configured(journal)
        process.send_signal(signal.SIGINT)
        await until(lambda: len(journal("drain")) == 2)
        await asyncio.sleep(SAME_CTRL_C_S)  # no person is faster
        process.send_signal(signal.SIGINT)

        assert await process.wait() == EX_INTERRUPTED

    assert not any(map(is_alive, pids))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_signal_that_comes_twice_still_drains(program, journal, number):
    async with program() as process:
        await configured(journal)
        process.send_signal(number)
        await until(lambda: not has_pending_signal(process.pid))  # two that are pending are one
        process.send_signal(number)

        assert await process.wait() == EX_OK


async def test_a_signal_during_the_start_ends_it(program):
    async with program(broker="blocked") as process:
        await process.stdout.readline()
        process.send_signal(signal.SIGTERM)

        assert await process.wait() == EX_OK


async def test_children_end_with_a_killed_supervisor(program, journal):
    async with program() as process:
        pids = await configured(journal)
        process.kill()

        await until(lambda: not any(map(is_alive, pids)))


async def test_children_that_do_not_read_their_channel_end_too(program, journal):
    async with program("--ignore-eof") as process:
        pids = await configured(journal)
        process.kill()

        await until(lambda: not any(map(is_alive, pids)))


async def test_the_service_manager_hears_of_the_start_and_of_the_stop(program, journal, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        hear = partial(asyncio.get_running_loop().sock_recv, manager, 100)
        async with program(NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            assert await hear() == b"READY=1"
            await configured(journal)
            process.send_signal(signal.SIGTERM)

            assert await process.wait() == EX_OK
        assert [await hear(), await hear()] == [b"WATCHDOG=1", b"STOPPING=1"]
