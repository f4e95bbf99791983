"""``once=True`` on real brokers, with workers that get the same messages."""

import pytest
import redis

from tests.support.waiting import wait_until
from tests.support.worker import Worker, publish, running_worker

pytestmark = pytest.mark.slow

TASKS = "tests.support.once_tasks"


class Pair:
    """Workers that note their runs in one place."""

    def __init__(self, url: str, *workers: Worker) -> None:
        self.url = url
        self.workers = list(workers)
        self.interrupted: tuple[str, list[str]] | None = None
        """The dispatch over which a third worker was killed, and all that were sent then; None on Redis."""
        self.copies = ""
        """The dispatch that was sent eight times at once."""
        self.fatal = ""
        """The dispatch that killed its first process."""

    def runs(self, dispatch_id, handler):
        return [run for worker in self.workers for run in worker.runs(dispatch_id, handler)]

    def wait_for(self, dispatch_id, handler, times=1):
        wait_until(lambda: len(self.runs(dispatch_id, handler)) >= times)
        return self.runs(dispatch_id, handler)

    def logged(self, text):
        return sum(worker.log.count(text) for worker in self.workers)

    def interrupt(self, victim):
        """Kill one of the workers over a run of its own."""
        # Four slots, and the broker gives each worker its share.
        dispatch_ids = [publish(self.url, "ONCE", b'{"for_s":3}') for _ in range(6)]
        wait_until(lambda: any(victim.runs(dispatch_id, "only") for dispatch_id in dispatch_ids))
        victim.kill()
        [at] = [each for each in dispatch_ids if victim.runs(each, "only") and not victim.runs(each, "over")]
        self.interrupted = at, dispatch_ids


def publish_again(url, event, raw, dispatch_id):
    """Send the dispatch as Discord replays it: at another time, with the same id."""
    publish(url, event, raw, id=dispatch_id, seq=int(dispatch_id.rpartition("-")[2]))


@pytest.fixture(
    scope="module", params=[pytest.param("rabbitmq with sqlite", marks=pytest.mark.rabbitmq), "valkey with valkey"]
)
def pair(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("once")
    if request.param == "valkey with valkey":
        valkey = request.getfixturevalue("valkey")
        valkey.start()
        valkey.flush()
        url, place = valkey.url, {}
    else:
        url = request.getfixturevalue("rabbitmq_vhosts").take()
        place = {"GATEWAY_ONCE_URL": f"sqlite:///{directory}/once.db"}
    dangerous = "default.FATAL,default.TIMED"  # for a worker that runs its tasks itself
    workers = [
        Worker(url, directory / "a", TASKS, "-n", "a@%h", "-c", "2", **place),
        Worker(url, directory / "b", TASKS, "-n", "b@%h", "-P", "solo", "-X", dangerous, **place),
    ]
    if place:  # Redis gives the messages of a killed worker out again after a minute
        workers.append(Worker(url, directory / "v", TASKS, "-n", "v@%h", "-P", "solo", **place))
    try:
        for worker in workers:
            worker.wait_until_ready()
        pair = Pair(url, *workers)
        # What ends with a lease begins before all tests, so that the leases end while the others run.
        if place:
            pair.interrupt(workers[-1])
        pair.copies = publish(url, "ONCE", b'{"for_s":0.5}', copies=8)
        pair.fatal = publish(url, "FATAL", b"{}")
        yield pair
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.stop()


def test_a_second_copy_is_dropped(pair):
    dispatch_id = publish(pair.url, "ONCE", b"{}")
    pair.wait_for(dispatch_id, "over")
    publish_again(pair.url, "ONCE", b"{}", dispatch_id)

    pair.wait_for(dispatch_id, "always", times=2)
    wait_until(lambda: pair.logged(f"{dispatch_id}.default.{TASKS}.only:0:0 was made before"))

    assert len(pair.runs(dispatch_id, "only")) == 1


@pytest.mark.parametrize(("raw", "retries"), [(b'{"wish":"retry"}', {0, 1}), (b'{"wish":"fail"}', {0})])
def test_a_retry_is_another_run_and_a_failure_an_outcome(pair, raw, retries):
    dispatch_id = publish(pair.url, "ONCE", raw)
    wait_until(lambda: len(pair.runs(dispatch_id, "only")) == len(retries))
    publish_again(pair.url, "ONCE", raw, dispatch_id)

    wait_until(lambda: pair.logged(f"{dispatch_id}.default.{TASKS}.only:0:0 was made before"))

    assert sorted(run["retries"] for run in pair.runs(dispatch_id, "only")) == sorted(retries)


def test_a_run_that_was_killed_at_its_time_limit_is_not_made_again(pair):
    dispatch_id = publish(pair.url, "TIMED", b"{}")
    wait_until(lambda: pair.logged("Hard time limit (1s) exceeded for"))
    publish_again(pair.url, "TIMED", b"{}", dispatch_id)

    wait_until(lambda: pair.logged(f"{dispatch_id}.default.{TASKS}.timed:0:0 was made before"))

    assert len(pair.runs(dispatch_id, "timed")) == 1


def test_the_start_says_where_runs_are_noted(pair):
    is_local = pair.url.startswith("amqp")

    assert pair.logged(f"note their runs in {'sqlite' if is_local else 'redis'}://") == len(pair.workers)
    assert pair.logged("for the workers of this host alone") == is_local * len(pair.workers)


def test_a_run_is_noted_under_its_bot(pair):
    if pair.url.startswith("amqp"):
        pytest.skip("SQLite has no keys that others could meet")
    dispatch_id = publish(pair.url, "ONCE", b"{}")
    pair.wait_for(dispatch_id, "over")

    with redis.Redis.from_url(pair.url, decode_responses=True) as client:
        keys = client.keys(f"*{dispatch_id}*:0:0")

    assert keys == [f"gateway:{{100}}:once:{dispatch_id}.default.{TASKS}.only:0:0"]


def test_of_many_copies_at_the_same_moment_one_runs(pair):
    pair.wait_for(pair.copies, "over")
    pair.wait_for(pair.copies, "always", times=8)
    key = f"{pair.copies}.default.{TASKS}.only:0:0"
    # What met the run while it was under way comes again when the lease is over.
    wait_until(lambda: pair.logged(f"{key} was made before") == 7)

    assert len(pair.runs(pair.copies, "only")) == 1


def test_a_run_whose_process_was_killed_is_made_by_another_and_then_never_again(pair):
    pair.wait_for(pair.fatal, "fatal", times=2)
    publish_again(pair.url, "FATAL", b"{}", pair.fatal)

    wait_until(lambda: pair.logged(f"{pair.fatal}.default.{TASKS}.fatal:0:0 was made before"))

    assert len({run["pid"] for run in pair.runs(pair.fatal, "fatal")}) == 2


def test_what_a_killed_worker_was_at_is_done_by_another(pair):
    if pair.interrupted is None:
        pytest.skip("Redis gives its messages out again after a minute")
    at, dispatch_ids = pair.interrupted

    for dispatch_id in dispatch_ids:
        pair.wait_for(dispatch_id, "over")

    assert [len(pair.runs(dispatch_id, "over")) for dispatch_id in dispatch_ids] == [1] * 6
    assert len(pair.runs(at, "only")) == 2


@pytest.mark.rabbitmq
def test_without_its_store_no_run_begins_and_one_under_way_stands(rabbitmq_url, valkey, tmp_path):
    valkey.start()
    arguments = ("-P", "solo", "-Q", "default.ONCE")
    with running_worker(rabbitmq_url, tmp_path, TASKS, *arguments, GATEWAY_ONCE_URL=valkey.url) as worker:
        under_way = publish(rabbitmq_url, "ONCE", b'{"for_s":1}')
        worker.wait_for(under_way, "only")
        valkey.kill()
        later = publish(rabbitmq_url, "ONCE", b"{}")

        worker.wait_for(under_way, "over")
        wait_until(lambda: f"The run 100:{under_way}.default.{TASKS}.only:0:0 is not noted" in worker.log)
        wait_until(lambda: f"The run 100:{later}.default.{TASKS}.only:0:0 waits 5 s" in worker.log)
        assert worker.runs(later, "only") == []

        valkey.start()
        worker.wait_for(later, "over")

        assert len(worker.runs(later, "only")) == len(worker.runs(under_way, "only")) == 1
