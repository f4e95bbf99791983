"""``ordered=True``: the dispatches of a guild in Discord's order, over several workers and what happens to them."""

import itertools
import json
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gateway_service.publisher import Envelope, Outbox
from gateway_service.publisher.links import make_link
from tests.support.connection import connection_to
from tests.support.publishing import ORIGIN, make_envelope, publishing
from tests.support.waiting import wait_until
from tests.support.worker import RECORD_VARIABLE, Worker

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]

TASKS = "tests.support.ordered_tasks"
EVENTS = ("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE")
GUILDS = [random.Random(number).getrandbits(61) | 1 << 40 for number in range(200)]


def envelopes(count: int, raw: Callable[[int], bytes] = lambda _seq: b"{}") -> list[Envelope]:
    turns = zip(range(1, count + 1), itertools.cycle(GUILDS), itertools.cycle(EVENTS))
    return [make_envelope(seq, event=event, guild_id=guild_id, raw=raw(seq)) for seq, guild_id, event in turns]


def publish(url: str, dispatches: Iterable[Envelope]) -> None:
    outbox = Outbox()
    for envelope in dispatches:
        outbox.put(envelope)
    with publishing(lambda: make_link(url, ORIGIN), outbox):
        wait_until(lambda: outbox.is_empty)


class Workers:
    """Workers of one group that write one record, so that its lines are in the order of the runs."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._record = directory / "record.jsonl"
        self._all: list[Worker] = []

    def start(self, *arguments: str, routes: str = "{}") -> Worker:
        number = len(self._all)
        variables = {RECORD_VARIABLE: str(self._record), "GATEWAY_ROUTES": routes}
        directory = self._directory / f"worker-{number}"
        worker = Worker(self._url, directory, TASKS, "-n", f"worker-{number}@%h", *arguments, **variables)
        self._all.append(worker)
        return worker

    def stop(self) -> None:
        for worker in self._all:
            worker.kill() if worker.process.poll() is None else None

    def runs(self) -> list[tuple[int, int]]:
        """Return guild and seq of each run, in the order of the runs."""
        if not self._record.exists():
            return []
        lines = self._record.read_text().rpartition("\n")[0].splitlines()
        return [(run["guild"], run["seq"]) for run in map(json.loads, lines)]

    def count(self) -> int:
        return len(set(self.runs()))


@pytest.fixture
def workers(rabbitmq_url, tmp_path):
    workers = Workers(rabbitmq_url, tmp_path)
    yield workers
    workers.stop()


def inversions(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the runs that came after a later one of their guild; a run that is repeated counts the first time."""
    latest: dict[int, int] = {}
    found = []
    for guild, seq in dict.fromkeys(runs):
        if seq < latest.get(guild, 0):
            found.append((guild, seq))
        latest[guild] = max(seq, latest.get(guild, 0))
    return found


def lanes_of(worker: Worker) -> set[str]:
    """Return the lanes that a worker last said it handles."""
    said = re.findall(r"This worker now handles (.*)", worker.log)
    return set(said[-1].split(", ")) if said else set()


def queues(url: str, names: Iterable[str]) -> set[str]:
    """Return which of the queues exist."""
    found = set()
    with connection_to(url) as connection:
        for name in names:
            channel = connection.channel()
            try:
                channel.queue_declare(name, passive=True)
            except connection.channel_errors:
                continue
            found.add(name)
    return found


def test_no_dispatch_overtakes_another_of_its_guild_when_a_worker_is_killed(workers, rabbitmq_url):
    three = [workers.start("-P", "solo") for _ in range(3)]
    for worker in three:
        worker.wait_until_ready()
    # Every worker has its share before there is work: eight lanes are 3 + 3 + 2.
    wait_until(lambda: all(lanes_of(worker) for worker in three))

    publish(rabbitmq_url, envelopes(10_000))
    wait_until(lambda: workers.count() > 2_000)
    three[0].kill()

    wait_until(lambda: workers.count() == 10_000)
    assert inversions(workers.runs()) == []
    assert len(workers.runs()) < 10_000 + 500  # what the killed worker had not acknowledged ran again, and no more


def test_a_pool_of_processes_keeps_the_order_over_retries_and_killed_processes(workers, rabbitmq_url):
    first = workers.start("-c", "4", routes='{"MESSAGE_*": {"lanes": 4}}')
    first.wait_until_ready()
    trouble = {50: {"fails": 2}, 100: {"kills": True}, 150: {"takes_s": 0.3}, 200: {"fails": 1}}

    publish(rabbitmq_url, envelopes(1_000, lambda seq: json.dumps(trouble.get(seq, {})).encode()))
    wait_until(lambda: workers.count() == 1_000)

    assert inversions(workers.runs()) == []
    assert len(workers.runs()) == 1_000

    # With another number of lanes, what is left in the old ones is handled first.
    first.process.terminate()
    first.process.wait()
    publish(rabbitmq_url, envelopes(2_000)[1_000:])
    workers.start("-P", "solo", routes='{"MESSAGE_*": {"lanes": 2}}').wait_until_ready()
    publish(rabbitmq_url, envelopes(3_000)[2_000:])
    wait_until(lambda: workers.count() == 3_000)

    assert inversions(workers.runs()) == []
    old, new = ([f"default.lane-{lane}-of-{lanes}" for lane in range(lanes)] for lanes in (4, 2))
    assert queues(rabbitmq_url, [*old, *new]) == set(new)
