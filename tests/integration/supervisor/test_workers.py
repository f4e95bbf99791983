"""``gateway-service worker``: several workers under one supervisor, on a real RabbitMQ."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_service.errors import EX_CONFIG, EX_OK, EX_USAGE
from gateway_service.supervisor.policy import Policy
from gateway_service.supervisor.worker_process import WorkerProcess
from tests.support.secrecy import seen
from tests.support.waiting import TIMEOUT_S, until, wait_until
from tests.support.worker import RECORD_VARIABLE, ROOT, Worker, publish, take, worker_environment

TASKS = "tests.support.slow_tasks"


class Workers(Worker):
    """``gateway-service worker`` in the place of one worker."""

    def __init__(self, url: str, directory: Path, tasks: str, *arguments: str) -> None:
        self.record = directory / "record.jsonl"
        self._log = directory / "worker.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway_service", "worker", *arguments],
                env=worker_environment(url, tasks) | {RECORD_VARIABLE: str(self.record)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def pids(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def wait_until_all_are_ready(self, times: int) -> None:
        wait_until(lambda: self.log.count(" ready.") >= times or self.process.poll() is not None)
        assert self.process.poll() is None, self.log


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.rabbitmq
def test_workers_are_kept_alive_and_finish_what_they_began(rabbitmq_url, tmp_path):
    workers = Workers(rabbitmq_url, tmp_path, TASKS, "--processes", "2", "-l", "info")
    try:
        workers.wait_until_all_are_ready(2)
        assert {line.partition(" | ")[0] for line in workers.log.splitlines() if " ready." in line} == {
            "worker-1",
            "worker-2",
        }
        killed, other = workers.pids()

        os.kill(killed, signal.SIGKILL)
        workers.wait_until_all_are_ready(3)  # under another name: RabbitMQ may still know the old one

        assert other in workers.pids()
        assert killed not in workers.pids()

        dispatch_id = publish(rabbitmq_url, "GUILD_CREATE", b"{}")
        workers.wait_for(dispatch_id, "begun")
        pids = workers.pids()
        workers.process.terminate()

        assert workers.process.wait(30) == EX_OK
        assert len(workers.runs(dispatch_id, "done")) == 1
        assert not any(map(is_running, pids))
    finally:
        workers.stop()


@pytest.mark.rabbitmq
def test_none_is_left_over_and_none_runs_on_beyond_the_grace_period(rabbitmq_url, tmp_path):
    for name in ("killed", "hung"):
        (tmp_path / name).mkdir()
    options = ("--processes", "1", "--grace", "0.2", "-l", "info")
    killed = Workers(rabbitmq_url, tmp_path / "killed", TASKS, *options)
    hung = Workers(rabbitmq_url, tmp_path / "hung", TASKS, *options)
    try:
        killed.wait_until_all_are_ready(1)
        hung.wait_until_all_are_ready(1)
        [orphan], [waiting] = killed.pids(), hung.pids()

        killed.process.kill()
        wait_until(lambda: not is_running(orphan))

        dispatch_id = publish(rabbitmq_url, "MESSAGE_CREATE", b'{"wait":true}')
        hung.wait_for(dispatch_id, "waiting")
        hung.process.terminate()

        assert hung.process.wait(30) == EX_OK
        assert not is_running(waiting)
        wait_until(lambda: take(rabbitmq_url, "default.MESSAGE_CREATE"))
    finally:
        killed.stop()
        hung.stop()


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "sentence"),
    [
        pytest.param(
            ("-P", "prefork"),
            {},
            EX_USAGE,
            "Error: -P: `gateway-service worker` decides that itself; use `celery worker` for it",
            id="option-of-ours",
        ),
        pytest.param(
            ("--processes", "2"),
            {"GATEWAY_TASKS": "no_such_module"},
            EX_CONFIG,
            " | Error: GATEWAY_TASKS: there is no module 'no_such_module'",
            id="no-such-module",
        ),
        pytest.param((), {"GATEWAY_BROKER_URL": "carrier-pigeon://x"}, EX_CONFIG, "GATEWAY_BROKER_URL: ", id="setting"),
    ],
)
def test_a_bad_start_ends_with_its_exit_code(arguments, environment, exit_code, sentence):
    done = subprocess.run(
        [sys.executable, "-m", "gateway_service", "worker", *arguments],
        env=worker_environment("amqp://127.0.0.1:1//", "tasks") | environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    assert done.returncode == exit_code, done.stderr
    assert sentence in seen(done.stdout + done.stderr)


_STAND_IN = """
import os, pathlib, sys, time
starts = pathlib.Path({starts!r})
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
while True:
    os.write(int(os.environ["WORKER_PULSE_FD"]), b".")
    print("beat", flush=True)
    while len(starts.read_text()) == 1:
        time.sleep(0.05)
    time.sleep(0.05)
"""


async def test_a_worker_without_a_sign_of_life_is_killed_and_started_again(tmp_path):
    starts, lines = tmp_path / "starts", []
    policy = Policy(ping_interval_s=0.1, pulse_timeout_s=3.0, first_backoff_s=0.0)
    command = (sys.executable, "-c", _STAND_IN.format(starts=str(starts)))
    worker = WorkerProcess(1, (), policy=policy, print_line=lines.append, command=command)
    running = asyncio.create_task(worker.run())

    await until(lambda: len(lines) > 40)  # of which the first life had one

    assert starts.read_text() == "xx"
    worker.kill()
    assert await running is None
