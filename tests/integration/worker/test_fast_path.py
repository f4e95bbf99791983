"""The fast path of a solo pool against Celery's own way: the same messages, and all that can be seen of them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from gateway_service.contract import DEAD_QUEUE
from tests.support.connection import CONNECT_TIMEOUT_S, application_on, connection_to
from tests.support.scenarios import DEAD, OK, ORDINARY_RUNS, RESULTS_FOLDER, SCENARIOS, Scenario
from tests.support.waiting import wait_until
from tests.support.worker import Worker, publish

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]

TASKS = "tests.support.differential_tasks"
# What differs between two runs of the same thing, whichever way they take.
VARYING = ("timestamp", "clock", "pid", "hostname", "runtime", "utcoffset", "date_done")
MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|0123456789abcdef-[0-9]+|20\d\d-\d\d-\d\dT[0-9:.]+")
MANY = 40


class Side:
    """One worker with a virtual host of its own, and what was seen of each scenario."""

    def __init__(self, url: str, directory: Path, tasks: str) -> None:
        self.url = url
        self._directory = directory
        self.worker = Worker(url, directory, tasks, "-P", "solo", "-E")
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.dead: dict[str, dict[str, Any]] = {}
        self._connection = connection_to(url)

    @property
    def vhost(self) -> str:
        return self._connection.virtual_host

    def prepare(self) -> None:
        self.worker.wait_until_ready()
        self._channel = self._connection.channel()
        self._channel.queue_declare("all-events", exclusive=True)
        self._channel.queue_bind("all-events", exchange="celeryev", routing_key="task.#")
        revoked = [scenario.task_id for scenario in SCENARIOS if scenario.is_revoked]
        with application_on(self.url) as app:
            assert app.control.revoke(revoked, reply=True, limit=1, timeout=CONNECT_TIMEOUT_S)

    def send(self, scenario: Scenario) -> None:
        raw = json.dumps(scenario.data).encode()
        headers = {"id": scenario.id, "root_id": scenario.id, "seq": 1, **scenario.headers}
        publish(self.url, scenario.event, raw, body=scenario.body, content_type=scenario.content_type, **headers)

    def has_ended(self, scenario: Scenario) -> bool:
        self._collect()
        if scenario.ends == DEAD:
            return not self.dead.keys().isdisjoint({scenario.id, scenario.task_id})
        if not scenario.ends:
            return any(line.get("signal") == "postrun" for line in self.lines(scenario))
        types = [event["type"] for event in self.events[scenario.task_id]]
        return types.count(scenario.ends) >= scenario.times

    def have_ordinary_tasks_ended(self) -> bool:
        return sum(line.get("ran") == "ordinary" for line in self.worker.records()) >= ORDINARY_RUNS

    def lines(self, scenario: Scenario) -> list[dict[str, Any]]:
        return [line for line in self.worker.records() if _belongs(line["id"], scenario)]

    def is_inline(self, scenario: Scenario) -> bool | None:
        runs = [line for line in self.lines(scenario) if line.get("ran", "").endswith(scenario.handler)]
        return runs[0]["inline"] if runs else None

    def send_many(self, name: str, seconds: float) -> set[str]:
        """Send messages whose handler takes some time, and return their ids."""
        many = [Scenario(f"{name} {number}", OK, data={"do": "sleep", "seconds": seconds}) for number in range(MANY)]
        for scenario in many:
            self.send(scenario)
        return {scenario.id for scenario in many}

    def ran(self, ids: set[str]) -> set[str]:
        """Return which of these messages a handler has finished."""
        ended = (line["id"].partition(".")[0] for line in self.worker.records() if line.get("signal") == "postrun")
        return ids & set(ended)

    def outcome(self, scenario: Scenario) -> dict[str, Any]:
        """Return everything that was seen of a scenario, without what differs from run to run."""
        seen = {
            "events": {
                task_id: _constant(events) for task_id, events in self.events.items() if _belongs(task_id, scenario)
            },
            "lines": [{**line, "inline": None} for line in self.lines(scenario)],
            "results": {
                name: _constant([result]) for name, result in self._results().items() if _belongs(name, scenario)
            },
            "dead": {task_id: message for task_id, message in self.dead.items() if _belongs(task_id, scenario)},
        }
        return json.loads(MADE_UP.sub("<id>", json.dumps(seen)))

    def left(self) -> dict[str, set[str]]:
        """Return the ids of the messages in every queue; for when the worker has ended."""
        self._connection.release()  # a test may have broken it
        self._connection = connection_to(self.url)
        self._channel = self._connection.channel()
        events = {f"default.{scenario.event}" for scenario in SCENARIOS}
        names = sorted(events | {"celery", DEAD_QUEUE, "gateway.unrouted"})
        return {name: {message.headers["id"] for message in self._drain(name)} for name in names}

    def close(self) -> None:
        self._connection.release()
        self.worker.stop()

    def _collect(self) -> None:
        for message in self._drain("all-events"):
            for event in message.decode():
                self.events[event["uuid"]].append(event)
        for message in self._drain(DEAD_QUEUE):
            headers = message.headers
            kept = ("task", "reason", "x-first-death-reason", "x-first-death-queue", "retries")
            self.dead[headers["id"]] = {name: headers.get(name) for name in kept} | {"body": repr(message.body)[:200]}

    def _drain(self, queue: str) -> Iterator[Any]:
        while message := self._channel.basic_get(queue, no_ack=True):
            yield self._channel.message_to_python(message)

    def _results(self) -> dict[str, dict[str, Any]]:
        files = (self._directory / RESULTS_FOLDER).glob("celery-task-meta-*")
        return {file.name.removeprefix("celery-task-meta-"): json.loads(file.read_text()) for file in files}


def _belongs(task_id: str, scenario: Scenario) -> bool:
    return task_id == scenario.id or task_id.startswith(f"{scenario.id}.")


def _constant(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key not in VARYING} for item in items]


@pytest.fixture(scope="module")
def sides(rabbitmq_vhosts, tmp_path_factory) -> Iterator[tuple[Side, Side]]:
    """Both workers, with all scenarios behind them."""
    directory = tmp_path_factory.mktemp("paths")
    with ExitStack() as stack:
        fast, stock = (
            stack.enter_context(closing(Side(rabbitmq_vhosts.take(), directory / name, tasks)))
            for name, tasks in (("fast", TASKS), ("stock", f"{TASKS},tests.support.without_fast_path"))
        )
        for side in (fast, stock):
            side.prepare()
            for scenario in SCENARIOS:
                side.send(scenario)
        for side in (fast, stock):
            for scenario in SCENARIOS:
                wait_until(lambda s=side, c=scenario: s.has_ended(c))
            wait_until(side.have_ordinary_tasks_ended)
        yield fast, stock


each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))


@each_scenario
def test_both_ways_lead_to_the_same(sides, scenario):
    fast, stock = sides

    assert fast.outcome(scenario) == stock.outcome(scenario)


@each_scenario
def test_the_fast_path_takes_what_is_usual(sides, scenario):
    fast, stock = sides

    assert (fast.is_inline(scenario), stock.is_inline(scenario)) == (scenario.is_inline, scenario.is_inline and False)


def test_a_lost_connection_loses_nothing(sides, rabbitmq):
    sent = {side: side.send_many("lost", seconds=0.02) for side in sides}
    for side in sides:
        wait_until(lambda s=side: len(s.ran(sent[s])) > 2)

    rabbitmq.control("close_all_connections", "as a test", "--vhost", sides[0].vhost)
    rabbitmq.control("close_all_connections", "as a test", "--vhost", sides[1].vhost)

    for side in sides:
        wait_until(lambda s=side: s.ran(sent[s]) == sent[s])


def test_a_warm_shutdown_gives_back_what_was_only_prefetched(sides):
    # The last of this file: it ends the workers.
    sent = {side: side.send_many("stopped", seconds=0.05) for side in sides}
    for side in sides:
        wait_until(lambda s=side: len(s.ran(sent[s])) > 2)
        side.worker.process.terminate()

    assert [side.worker.process.wait(30) for side in sides] == [0, 0]

    for side in sides:
        left = side.left()
        assert left.pop("default.DO") == sent[side] - side.ran(sent[side])
        assert set().union(*left.values()) == set()
