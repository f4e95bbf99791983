"""A worker that cannot start says why in one line, before it touches a broker."""

import subprocess
from pathlib import Path

import pytest

from gateway_service.errors import EX_CONFIG
from tests.support.secrecy import seen
from tests.support.waiting import TIMEOUT_S
from tests.support.worker import celery_command, worker_environment

# What else may be wrong with a module: tests/unit/worker/test_modules.py and test_gateway.py.
CASES = {
    "no_such_module": (
        "Error: GATEWAY_TASKS: there is no module 'no_such_module' in the working directory or on the Python path"
    ),
    "broken": (
        "Error: GATEWAY_TASKS: importing 'broken.inner' failed: NameError: name 'nothing' is not defined "
        "(inner.py, line 2)"
    ),
    "empty": (
        "Error: no task was found in the modules of GATEWAY_TASKS; decorate a function with @on('MESSAGE_CREATE')"
    ),
}


_DEMANDING = """
from kombu import Queue

from gateway_service import on
from gateway_service.worker import app

app.conf.task_queues = [Queue("mine", queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": 3})]


@on("MESSAGE_CREATE", ordered=True)
def index(data, dispatch): ...
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("modules")
    (directory / "broken").mkdir()
    (directory / "broken" / "__init__.py").touch()
    (directory / "broken" / "inner.py").write_text("\nnothing\n")
    (directory / "empty.py").touch()
    return directory


@pytest.fixture(scope="module")
def attempts(directory):
    """All of them at once, because each takes a second."""
    processes = {
        module: subprocess.Popen(
            celery_command("worker"),
            cwd=directory,
            env=worker_environment("amqp://127.0.0.1:1//", module),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for module in CASES
    }
    try:
        return {
            module: (process.communicate(timeout=TIMEOUT_S), process.returncode)
            for module, process in processes.items()
        }
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


@pytest.mark.parametrize("module", CASES)
def test_a_module_that_cannot_be_used_is_named_in_one_line(attempts, module):
    (out, errors), exit_code = attempts[module]

    seen(out + errors)
    assert (errors.splitlines(), exit_code) == ([CASES[module]], EX_CONFIG)


def test_what_redis_does_not_have_is_refused_before_anything_is_consumed(directory):
    (directory / "demanding.py").write_text(_DEMANDING)
    environment = {
        **worker_environment("redis://127.0.0.1:1/0", "demanding"),
        "GATEWAY_ROUTES": '{"MESSAGE_*": {"lanes": 4}}',
    }

    done = subprocess.run(
        celery_command("worker"), check=False, cwd=directory, env=environment, capture_output=True, text=True
    )

    assert done.returncode == EX_CONFIG
    assert seen(done.stderr).splitlines() == [
        f"Error: {who}, which redis does not have; use RabbitMQ"
        for who in (
            "the ordered handler 'demanding.index' needs queues with a single active consumer",
            "the route 'MESSAGE_*' with lanes needs queues with a single active consumer",
            "the queue 'mine' needs quorum queues",
            "the queue 'mine' needs queues with a delivery limit",
        )
    ]


def test_a_wrong_setting_is_named_in_one_line(directory):
    environment = worker_environment("carrier-pigeon://coop", "tasks")

    done = subprocess.run(
        celery_command("worker"), check=False, cwd=directory, env=environment, capture_output=True, text=True
    )

    assert done.returncode == EX_CONFIG
    assert seen(done.stderr).startswith("Error: GATEWAY_BROKER_URL: ")
    assert len(done.stderr.splitlines()) == 1
