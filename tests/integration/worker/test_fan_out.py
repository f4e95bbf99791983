"""One broker message, several handlers, each a task of its own: on a real RabbitMQ, in a prefork worker."""

import json

import pytest

from gateway_service.cli.main import run as run_command
from gateway_service.contract import DEAD_QUEUE
from gateway_service.errors import EX_OK
from gateway_service.worker.dead_letters import DeadLetter, open_dead_letters
from tests.support.connection import connection_to
from tests.support.waiting import wait_until
from tests.support.worker import ODD_EVENT, Worker, publish, running_worker, take

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow, pytest.mark.usefixtures("worker")]

SECRET = "only its handlers may see this"


@pytest.fixture(scope="module")
def url(rabbitmq_vhosts):
    return rabbitmq_vhosts.take()


@pytest.fixture(scope="module")
def worker(url, tmp_path_factory):
    directory = tmp_path_factory.mktemp("fan-out")
    with running_worker(url, directory, "tests.support.worker_tasks", "-c", "2") as worker:
        yield worker


def dead_letters(url: str) -> list[DeadLetter]:
    with open_dead_letters(url) as letters:
        return list(letters)


def handlers_of(worker: Worker, dispatch_id: str) -> list[str]:
    return sorted(run["handler"] for run in worker.runs(dispatch_id))


def test_every_handler_of_an_event_runs_from_one_message(worker, url):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"content":"hi"}')

    wait_until(lambda: len(worker.runs(dispatch_id)) == 3)

    assert handlers_of(worker, dispatch_id) == ["changing", "failing", "retrying"]


def test_a_handler_gets_the_dispatch_as_the_gateway_saw_it(worker, url):
    dispatch_id = publish(url, "GUILD_CREATE", b'{"id":"1"}')

    [run] = worker.wait_for(dispatch_id, "changing")

    assert {name: run[name] for name in ("event", "shard", "guild_id", "received_at", "kind")} == {
        "event": "GUILD_CREATE",
        "shard": [1, 4],
        "guild_id": 2**63 - 1,
        "received_at": 1_700_000_000.25,
        "kind": "join",
    }


def test_each_handler_has_an_id_and_a_state_of_its_own(worker, url):
    dispatch_id = publish(url, "MESSAGE_CREATE", b"{}")

    [run] = worker.wait_for(dispatch_id, "retrying")

    assert run["task_id"] == f"{dispatch_id}.default.tests.support.worker_tasks.retrying"
    wait_until(lambda: f"retrying[{run['task_id']}] succeeded" in worker.log)


def test_each_handler_has_a_row_of_its_own_in_flower(worker, url):
    with connection_to(url) as connection:
        channel = connection.default_channel
        channel.queue_declare("events-of-celery", exclusive=True)
        channel.queue_bind("events-of-celery", exchange="celeryev", routing_key="task.#")
        dispatch_id = publish(url, "MESSAGE_CREATE", b"{}")
        rows = set()

        def has_three_rows():
            while message := channel.basic_get("events-of-celery", no_ack=True):
                events = channel.message_to_python(message).decode()
                rows.update((event["name"], event["args"]) for event in events if event["type"] == "task-received")
            return len(rows) == 3

        wait_until(has_three_rows)

    assert {name.rpartition(".")[2] for name, _ in rows} == {"changing", "retrying", "failing"}
    assert {shown for _, shown in rows} == {"(<MESSAGE_CREATE of shard 1/4>,)"}
    assert len(worker.wait_for(dispatch_id, "retrying")) == 1


def test_a_failing_handler_does_not_touch_its_siblings(worker, url):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"fail":true}')

    wait_until(lambda: f"failing[{dispatch_id}.default.tests.support.worker_tasks.failing] raised" in worker.log)
    wait_until(lambda: len(worker.runs(dispatch_id)) == 2)
    wait_until(lambda: take(url, DEAD_QUEUE))

    assert handlers_of(worker, dispatch_id) == ["changing", "retrying"]


def test_a_handler_that_failed_for_good_is_dead_alone(url):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"fail":true}')

    dead = wait_until(lambda: take(url, DEAD_QUEUE))

    assert dead.headers["id"] == f"{dispatch_id}.default.tests.support.worker_tasks.failing"
    assert dead.headers["reason"] == "raised ValueError"
    assert take(url, DEAD_QUEUE) is None


def test_a_dead_run_that_is_requeued_runs_alone(worker, url, monkeypatch):
    monkeypatch.setenv("GATEWAY_BROKER_URL", url)
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"fail":true}')
    run_id = f"{dispatch_id}.default.tests.support.worker_tasks.failing"
    wait_until(lambda: f"Message {run_id} of" in worker.log)

    assert run_command(["dead", "requeue", run_id]) == EX_OK

    dead = wait_until(lambda: take(url, DEAD_QUEUE))  # it fails again
    assert (dead.headers["id"], dead.headers["requeues"]) == (run_id, 1)
    assert handlers_of(worker, dispatch_id) == ["changing", "retrying"]


# Celery cuts a fraction off, and cannot wait less than one second: see HandlerTask.
@pytest.mark.parametrize("countdown", ["0", "0.4", "2"])
def test_a_retry_runs_that_handler_again_and_no_other(worker, url, countdown):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"retry_in_s":%s,"n":18446744073709551617}' % countdown.encode())

    first, second = worker.wait_for(dispatch_id, "retrying", times=2)

    assert (first["retries"], second["retries"]) == (0, 1)
    assert {**first, "retries": 1, "pid": second["pid"]} == second
    assert handlers_of(worker, dispatch_id) == ["changing", "failing", "retrying", "retrying"]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"__type__":"datetime","__value__":"x"}', id="looks-like-typed-json"),
        pytest.param(b'{"a":[{"__type__":"uuid","__value__":{"hex":"no"}}]}', id="looks-like-typed-json-inside"),
        pytest.param(b'{"args":[],"kwargs":{},"callbacks":1}', id="looks-like-a-task"),
        pytest.param(
            b'{"n":[9007199254740993,18446744073709551615,-123456789012345678901234567890]}', id="big-integers"
        ),
        pytest.param(b'{"n":[0.1,1e308,5e-324,-0.0,1.0]}', id="floats"),
        pytest.param(b'{"d":' * 200 + b"null" + b"}" * 200, id="200-levels"),
        # More than pickle can take to the pool's processes.
        pytest.param(b'{"d":' * 480 + b"null" + b"}" * 480, id="480-levels"),
        pytest.param(rb'{"s":"\ud83d \ud83d\ude00 \u0000\u2028"}', id="lone-surrogate"),
        pytest.param('{"s":"\U0001f600 \u200f"}'.encode(), id="unicode"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[1,2,3]", id="list"),
        pytest.param(b'"text"', id="string"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b'{"x":"' + b"x" * 400_000 + b'"}', id="400-kB"),
    ],
)
def test_a_handler_receives_exactly_what_was_sent(worker, url, raw):
    dispatch_id = publish(url, "MESSAGE_CREATE", raw)

    [run] = worker.wait_for(dispatch_id, "retrying")

    assert json.dumps(run["data"]) == json.dumps(json.loads(raw))


@pytest.mark.parametrize("event", [ODD_EVENT, "BRAND_NEW_EVENT"])
def test_any_event_name_can_have_a_handler(worker, url, event):
    dispatch_id = publish(url, event, b"{}")

    [run] = worker.wait_for(dispatch_id, "retrying")

    assert run["event"] == event


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b'[[{"content":"' + SECRET.encode(), {}, id="not-json"),
        pytest.param(b'[["\xff"],{},{}]', {}, id="not-utf-8"),
        pytest.param(b"[[NaN],{},{}]", {}, id="not-a-number"),
        pytest.param(b'{"args":[]}', {}, id="not-a-task-body"),
        pytest.param(b"[[1,2],{},{}]", {}, id="two-payloads"),
        pytest.param(None, {"shard": None}, id="no-shard"),
    ],
)
def test_what_cannot_be_run_is_dead_and_not_lost(worker, url, body, headers):
    dispatch_id = publish(url, "MESSAGE_CREATE", b"{}", body=body, **headers)

    dead = wait_until(lambda: take(url, DEAD_QUEUE))

    assert dead.headers["id"] == dispatch_id
    assert dead.headers["reason"].startswith("its ")
    assert worker.runs(dispatch_id) == []


def test_a_message_for_a_task_that_is_not_here_is_dead_and_not_lost(worker, url):
    dispatch_id = publish(url, "MESSAGE_CREATE", json.dumps({"content": SECRET}).encode(), task="gateway.NOBODYS")

    dead = wait_until(lambda: take(url, DEAD_QUEUE))

    assert (dead.headers["id"], dead.headers["queue"]) == (dispatch_id, "default.MESSAGE_CREATE")
    assert dead.headers["reason"] == "no task is named 'gateway.NOBODYS' here"
    assert SECRET not in worker.log


def test_a_process_that_was_killed_over_a_message_gets_it_again(worker, url):
    dispatch_id = publish(url, "DEADLY", b'{"times":1}')

    first, second = worker.wait_for(dispatch_id, "deadly", times=2)

    assert first["pid"] != second["pid"]


@pytest.mark.parametrize("by", ["kill", "exit"])
def test_a_message_that_ends_its_process_each_time_ends_dead(url, by):
    dispatch_id = publish(url, "DEADLY", b'{"times":1000,"by":"%b"}' % by.encode())

    [dead] = wait_until(lambda: dead_letters(url), timeout_s=30)
    take(url, DEAD_QUEUE)

    assert (dead.id, dead.reason) == (dispatch_id, "its worker was lost 4 times")


def test_a_task_named_after_an_event_gets_its_dispatches(worker, url):
    dispatch_id = publish(url, "PLAIN", b'{"__type__":"datetime","__value__":"x"}')

    [run] = worker.wait_for(dispatch_id, "plain")

    assert run["data"] == {"__type__": "datetime", "__value__": "x"}


def test_a_handler_may_start_an_ordinary_task(worker, url):
    dispatch_id = publish(url, "DELEGATED", b'{"content":"hi"}')

    [run] = worker.wait_for(dispatch_id, "ordinary")

    assert run["data"] == {"content": "hi"}


def test_what_nobody_subscribed_to_is_unrouted(url):
    dispatch_id = publish(url, "TYPING_START", b"{}")

    unrouted = wait_until(lambda: take(url, "gateway.unrouted"))

    assert unrouted.headers["id"] == dispatch_id


def test_the_log_shows_no_content(worker, url):
    raw = json.dumps({"content": SECRET, "retry_in_s": 0, "fail": True}).encode()
    dispatch_id = publish(url, "MESSAGE_CREATE", raw)

    worker.wait_for(dispatch_id, "retrying", times=2)
    wait_until(lambda: f"failing[{dispatch_id}.default.tests.support.worker_tasks.failing] raised" in worker.log)
    wait_until(lambda: take(url, DEAD_QUEUE))

    assert SECRET not in worker.log
