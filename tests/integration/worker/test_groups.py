"""Two groups in applications of their own: each has its own copy, its own queues and its own trouble."""

import json

import kombu
import pytest
from celery.result import AsyncResult

from gateway_service.cli.main import run
from gateway_service.contract import DEAD_QUEUE
from tests.support.connection import connection_to
from tests.support.waiting import wait_until
from tests.support.worker import Worker, publish, take

pytestmark = pytest.mark.rabbitmq

APPS = "tests.support.group_apps"


@pytest.fixture(scope="module")
def url(rabbitmq_vhosts):
    return rabbitmq_vhosts.take()


@pytest.fixture(scope="module")
def workers(url, tmp_path_factory):
    directory = tmp_path_factory.mktemp("groups")
    both = {
        name: Worker(
            url,
            directory / name,
            "tasks",
            *("-c", "2", "-n", f"{name}@%h"),
            app=f"{APPS}:{name}",
            TEST_RESULTS=str(directory),
        )
        for name in ("moderation", "analytics")
    }
    try:
        for worker in both.values():
            worker.wait_until_ready()
        yield both
    finally:
        for worker in both.values():
            worker.stop()


@pytest.fixture(scope="module")
def moderation(workers):
    return workers["moderation"]


@pytest.fixture(scope="module")
def analytics(workers):
    return workers["analytics"]


def test_each_group_has_its_own_copy(url, moderation, analytics):
    dispatch_id = publish(url, "MESSAGE_CREATE", b"{}")

    moderation.wait_for(dispatch_id, "judge")
    moderation.wait_for(dispatch_id, "deadly")
    analytics.wait_for(dispatch_id, "count")


def test_events_that_are_folded_share_a_queue(url, moderation):
    dispatch_id = publish(url, "MESSAGE_UPDATE", b"{}")

    moderation.wait_for(dispatch_id, "judge")

    assert "moderation.messages" in moderation.log
    assert "moderation.MESSAGE_UPDATE" not in moderation.log


@pytest.mark.parametrize("countdown", [b"0", b"1"])
def test_a_retry_stays_in_its_group(url, moderation, analytics, countdown):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"retry_in_s":%s}' % countdown)

    runs = moderation.wait_for(dispatch_id, "judge", times=2)
    after = publish(url, "MESSAGE_CREATE", b"{}")
    analytics.wait_for(after, "count")

    assert [each["retries"] for each in runs] == [0, 1]
    assert len(analytics.runs(dispatch_id)) == 1
    assert len(moderation.runs(dispatch_id, "deadly")) == 1


def test_results_and_chains_work(url, moderation):
    dispatch_id, other = publish(url, "MESSAGE_UPDATE", b'{"a":1,"b":2}'), publish(url, "GUILD_CREATE", b"{}")

    [noted] = moderation.wait_for(other, "note")
    assert noted["total"] == 6
    moderation.wait_for(dispatch_id, "judge")
    results = moderation.record.parent.parent
    name = AsyncResult(f"{dispatch_id}.moderation.judge").id
    found = wait_until(lambda: list(results.glob(f"*{name}*")))
    assert json.loads(found[0].read_text())["result"] == 2


def test_a_handler_whose_process_is_killed_runs_again_and_its_sibling_does_not(url, moderation, analytics):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"kills":1}')

    first, second = moderation.wait_for(dispatch_id, "deadly", times=2)
    analytics.wait_for(dispatch_id, "count")

    assert first["pid"] != second["pid"]
    assert len(moderation.runs(dispatch_id, "judge")) == 1
    assert len(analytics.runs(dispatch_id)) == 1


def test_a_handler_that_always_kills_its_process_is_dead_alone(url, moderation):
    dispatch_id = publish(url, "MESSAGE_CREATE", b'{"kills":1000}')

    dead = wait_until(lambda: take(url, DEAD_QUEUE))

    assert (dead.headers["task"], dead.headers["id"]) == ("deadly", f"{dispatch_id}.moderation.deadly")
    assert len(moderation.runs(dispatch_id, "judge")) == 1


def test_a_queue_of_a_removed_handler_is_found_and_pruned(url, analytics, monkeypatch, capsys):
    monkeypatch.setenv("GATEWAY_BROKER_URL", url)
    monkeypatch.setenv("GATEWAY_TASKS", "tasks")
    arguments = ("--app", f"{APPS}:analytics")
    with connection_to(url) as connection:
        stale = kombu.Queue("analytics.TYPING_START", queue_arguments={"x-queue-type": "quorum"})
        stale(connection.default_channel).declare()
        stale(connection.default_channel).bind_to("gateway.events", "TYPING_START.*")
        connection.Producer().publish("{}", routing_key="analytics.TYPING_START")

    assert run(["topology", "diff", *arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["stale_queues"] == ["analytics.TYPING_START"]
    assert run(["topology", "prune", *arguments, "--yes"]) == 1
    assert "analytics.TYPING_START stays: 1 messages" in capsys.readouterr().err
    assert run(["topology", "prune", *arguments, "--yes", "--force"]) == 0
    assert run(["topology", "diff", *arguments]) == 0
    publish(url, "TYPING_START", b"{}")
    wait_until(lambda: _unrouted(arguments, capsys).get("TYPING_START"))
    assert analytics.process.poll() is None


def _unrouted(arguments, capsys):
    capsys.readouterr()
    assert run(["topology", "show", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["unrouted"]
