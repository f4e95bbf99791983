"""The Celery door: ``celery inspect`` and ``celery control`` as an operator types them."""

import json
import os
import socket
import subprocess

import pytest

from gateway_service.protocol.constants import Opcode
from tests.support.connection import application_on
from tests.support.control_stack import ON_ANY_BROKER
from tests.support.secrecy import seen
from tests.support.waiting import wait_until
from tests.support.worker import ROOT, celery_command, running_worker, worker_environment


@pytest.fixture(scope="module")
def celery(stack):
    """Return a function that runs a command of Celery's own command line."""

    def run(*arguments):
        done = subprocess.run(
            celery_command(*arguments),
            env=worker_environment(stack.broker_url, "tasks"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        seen(done.stdout + done.stderr)
        return done

    return run


@pytest.fixture(scope="module")
def ask(stack):
    """Return a function that does what the command line does, without its start: replies by node."""
    with application_on(stack.broker_url) as app:

        def broadcast(command, *, expect, destination=None, **arguments):
            answers = app.control.broadcast(
                command, arguments, destination=destination, reply=True, timeout=30, limit=expect
            )
            seen(str(answers))
            return {node: reply for answer in answers for node, reply in answer.items()}

        yield broadcast


def test_status_lists_both_supervisors_and_every_shard(ask):
    nodes = ask("ping", expect=10)

    assert sum(node.startswith("gateway@") for node in nodes) == 2
    assert {node.partition("@")[0] for node in nodes} == {"gateway", *(f"shard-{shard_id}" for shard_id in range(8))}
    assert list(nodes.values()) == [{"ok": "pong"}] * 10


def test_inspect_shards_is_answered_by_each_supervisor_for_its_own(ask):
    answers = ask("shards", expect=2)

    found = [shard["shard_id"] for answer in answers.values() for shard in answer["ok"]["shards"]]
    assert sorted(found) == list(range(8))


def test_control_reaches_the_owner_and_workers_stay_silent(celery, stack, tmp_path):
    resumes = len(stack.simulator.transcript.payloads(Opcode.RESUME))
    with running_worker(stack.broker_url, tmp_path, "tasks", "--pool", "solo", "--hostname", "celery@plain"):
        # Celery waits out the whole time for more replies; a busy machine may need longer than that for the first.
        asks, done = 0, None
        while done is None or (done.returncode == os.EX_UNAVAILABLE and asks < 10):
            asks += 1
            done = celery("control", "restart_shard", "5", "--json", "-t", "2")

    assert done.returncode == 0, done.stderr
    [(node, reply)] = json.loads(done.stdout)[0].items()
    assert node.startswith("gateway@")
    assert reply["ok"] == {"shard_ids": [5], "outcome": "requested"}
    wait_until(lambda: len(stack.simulator.transcript.payloads(Opcode.RESUME)) > resumes)
    assert len(stack.simulator.transcript.payloads(Opcode.RESUME)) <= resumes + asks


def test_a_presence_is_set_on_every_host(ask, stack):
    answers = ask("update_presence", expect=2, presence={"status": "idle"})

    assert sorted(shard_id for answer in answers.values() for shard_id in answer["ok"]["shard_ids"]) == list(range(8))
    wait_until(lambda: {each["status"] for each in stack.simulator.presences.values()} == {"idle"})


@ON_ANY_BROKER
def test_a_bad_argument_is_a_usage_line(celery):
    done = celery("control", "restart_shard", "three")

    assert done.returncode == 2
    assert "Usage: restart_shard <shard_id> [mode] [wait_s]" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_missing_argument_is_a_usage_line(ask):
    answers = ask("restart_shard", expect=2)

    assert {answer["error"] for answer in answers.values()} == {
        "invalid_argument: restart_shard: shard_id: Field required (usage: restart_shard <shard_id> [mode] [wait_s])"
    }


@pytest.mark.parametrize(
    ("method", "kind"),
    [("stats", dict), ("active_queues", list), ("reserved", list), ("revoked", list), ("conf", dict)],
)
def test_flowers_questions_about_a_node_are_answered(ask, method, kind):
    name = f"shard-2@{socket.gethostname()}"

    [(node, reply)] = ask(method, expect=1, destination=[name]).items()

    assert (node, type(reply)) == (name, kind)


def test_a_shard_that_is_shut_down_comes_back_with_its_process(ask, stack):
    name = f"shard-7@{socket.gethostname()}"
    pid = stack.ok("GET /v1/shards/7")["result"]["shard"]["pid"]
    identifies = len(stack.simulator.transcript.payloads(Opcode.IDENTIFY))

    [(node, reply)] = ask("shutdown", expect=1, destination=[name]).items()

    assert (node, reply["ok"]) == (name, {"shard_ids": [6, 7], "outcome": "requested"})
    wait_until(lambda: stack.ok("GET /v1/shards/7")["result"]["shard"]["pid"] not in {None, pid})
    stack.wait_until_live()
    assert len(stack.simulator.transcript.payloads(Opcode.IDENTIFY)) == identifies
