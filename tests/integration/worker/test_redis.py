"""The same handlers on a Redis broker, in a worker that runs them in its own process."""

import json
import time

import pytest

from gateway_service.contract import DEAD_QUEUE
from tests.support.waiting import wait_until
from tests.support.worker import publish, running_worker, take

TASKS = "tests.support.worker_tasks"

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def url(valkey):
    valkey.start()
    valkey.flush()
    return valkey.url


@pytest.fixture(scope="module")
def worker(url, tmp_path_factory):
    directory = tmp_path_factory.mktemp("redis")
    arguments = ("-P", "solo", "-n", "a@%h", "-X", "default.DEADLY")
    with running_worker(url, directory, TASKS, *arguments, GATEWAY_ROUTES='{"GUILD_*": {"ttl_s": 60}}') as worker:
        yield worker


@pytest.fixture
def moderation(url, tmp_path):
    """A worker of another group, whose routes fold the events of messages into one queue."""
    arguments = ("-P", "solo", "-n", "c@%h")
    with running_worker(
        url, tmp_path, TASKS, *arguments, app="tests.support.group_apps:moderation", TEST_RESULTS=str(tmp_path)
    ) as worker:
        yield worker


@pytest.fixture
def pool(url, tmp_path):
    """A worker whose pool processes may die."""
    with running_worker(url, tmp_path, TASKS, "-c", "1", "-n", "b@%h", "-Q", "default.DEADLY") as worker:
        yield worker


def test_handlers_in_one_process_do_not_see_each_others_changes(worker, url):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"content":"hi"}')

    wait_until(lambda: len(worker.runs(dispatch_id)) == 3)

    assert [(run["handler"], run["data"]) for run in worker.runs(dispatch_id)] == [
        ("changing", {"content": "hi"}),
        ("retrying", {"content": "hi"}),
        ("failing", {"content": "hi"}),
    ]


@pytest.mark.parametrize("countdown", ["0", "0.4"])
def test_a_retry_runs_that_handler_again_and_no_other(worker, url, countdown):
    raw = b'{"retry_in_s":%s,"n":18446744073709551617,"t":{"__type__":"uuid","__value__":1}}' % countdown.encode()
    dispatch_id = publish(url, "MESSAGE_CREATE", raw)

    first, second = worker.wait_for(dispatch_id, "retrying", times=2)

    assert {**first, "retries": 1} == second
    assert second["data"] == json.loads(raw)
    assert len(worker.runs(dispatch_id)) == 4


def test_what_cannot_be_run_is_dead_and_not_lost(url):
    dispatch_id = publish(url, "MESSAGE_CREATE", b"{}", body=b"[[{")

    dead = wait_until(lambda: take(url, DEAD_QUEUE))

    assert (dead.headers["id"], dead.body) == (dispatch_id, b"[[{")
    assert dead.headers["reason"].startswith("its body is not JSON")


def test_a_task_named_after_an_event_gets_its_dispatches(worker, url):
    dispatch_id = publish(url, "PLAIN", b'{"n":1}')

    [run] = worker.wait_for(dispatch_id, "plain")

    assert run["data"] == {"n": 1}


def test_what_is_older_than_its_route_allows_is_let_go(worker, url):
    old = publish(url, "GUILD_CREATE", b"{}")
    young = publish(url, "GUILD_CREATE", b"{}", received_at=time.time())

    worker.wait_for(young, "changing")

    assert worker.runs(old) == []


def test_each_group_has_its_own_copy_its_own_routes_and_its_own_retries(worker, moderation, url):
    both = publish(url, "MESSAGE_CREATE", b'{"retry_in_s":0}')
    folded = publish(url, "MESSAGE_UPDATE", b"{}")

    moderation.wait_for(both, "judge", times=2)
    moderation.wait_for(folded, "judge")
    worker.wait_for(both, "retrying", times=2)

    assert len(moderation.runs(both, "deadly")) == len(worker.runs(both, "changing")) == 1
    assert "moderation.messages" in moderation.log
    assert "moderation.MESSAGE_UPDATE" not in moderation.log


def test_a_message_that_ends_its_process_each_time_ends_dead(pool, url):
    dispatch_id = publish(url, "DEADLY", b'{"times":1000}')

    dead = wait_until(lambda: take(url, DEAD_QUEUE))

    assert (dead.headers["id"], dead.headers["reason"]) == (dispatch_id, "its worker was lost 4 times")
    assert len(pool.runs(dispatch_id)) == 4
