"""What becomes of a dispatch when its worker is killed."""

from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tests.support.worker import Worker, publish, running_worker

pytestmark = pytest.mark.rabbitmq

TASKS = "tests.support.slow_tasks"


def test_a_dispatch_of_a_killed_worker_runs_on_another(rabbitmq_url, tmp_path: Path):
    killed = Worker(rabbitmq_url, tmp_path / "killed", TASKS, "-P", "solo")
    try:
        killed.wait_until_ready()
        dispatch_id = publish(rabbitmq_url, "MESSAGE_CREATE", b'{"wait":true}')
        killed.wait_for(dispatch_id, "waiting")
    finally:
        killed.kill()

    other = Worker(rabbitmq_url, tmp_path / "other", TASKS, "-P", "solo", "-Q", "default.MESSAGE_CREATE")
    try:
        other.wait_for(dispatch_id, "waiting")
        assert "default.GUILD_CREATE" not in other.log
    finally:
        other.kill()


def test_a_worker_that_is_asked_to_stop_finishes_what_it_began(rabbitmq_url, tmp_path: Path):
    with running_worker(rabbitmq_url, tmp_path, TASKS, "-P", "solo") as worker:
        dispatch_id = publish(rabbitmq_url, "GUILD_CREATE", b"{}")
        worker.wait_for(dispatch_id, "begun")
        worker.process.terminate()

        wait_until(lambda: worker.process.poll() is not None)

        assert len(worker.runs(dispatch_id, "done")) == 1
