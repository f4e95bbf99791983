from types import SimpleNamespace

import pytest

from gateway_service.errors import ShardUnavailable
from gateway_service.supervisor.silence import SilenceDetector
from gateway_service.supervisor.silence_watch import SilenceWatch
from tests.support.fleet import shard

QUICK = {"min_history": 4, "surprise": 4.0}


class Fleet:
    """Two shards, of which shard 1 is deaf from some window on; the budget refuses new sessions if told to."""

    def __init__(self):
        self.heard = [0, 0]
        self.is_deaf = False
        self.refuses = None
        self.restarted = []

    def snapshot(self):
        self.heard[0] += 1
        self.heard[1] += not self.is_deaf
        return SimpleNamespace(shards=[shard(each, heard=heard) for each, heard in enumerate(self.heard)])

    def restart_shard(self, shard_id, mode):
        if mode == self.refuses:
            raise ShardUnavailable(shard_id, "it may not IDENTIFY now; its session is kept")
        self.restarted.append((shard_id, mode))


@pytest.fixture
def fleet():
    return Fleet()


@pytest.fixture
def windows(fleet):
    """Return a function that lets windows pass; the shards have talked for long enough before."""
    watch = SilenceWatch(fleet, SilenceDetector(**QUICK), 30.0)

    def run(count):
        for _ in range(count):
            watch.look()

    run(10)
    return run


def told(caplog, event):
    return [record.event_fields for record in caplog.records if record.message == event]


def test_a_deaf_shard_resumes_and_identifies(fleet, windows, caplog):
    fleet.is_deaf = True
    windows(8)

    assert fleet.restarted == [(1, "resume"), (1, "identify")]
    assert [(each["shard_id"], each["silent_s"], each["cure"]) for each in told(caplog, "shard.silent")] == [
        (1, 120.0, "resume"),
        (1, 240.0, "identify"),
    ]


def test_a_shard_that_hears_again_is_told_once(fleet, windows, caplog):
    caplog.set_level("INFO")
    fleet.is_deaf = True
    windows(4)
    fleet.is_deaf = False
    windows(10)

    assert fleet.restarted == [(1, "resume")]
    assert [each["shard_id"] for each in told(caplog, "shard.healed")] == [1]


def test_a_new_session_that_the_budget_refuses_waits_until_it_is_affordable(fleet, windows, caplog):
    fleet.is_deaf, fleet.refuses = True, "identify"
    windows(20)
    refused = [each for each in told(caplog, "shard.silent") if "reason" in each]
    assert (fleet.restarted, len(refused)) == ([(1, "resume")], 1)

    fleet.refuses = None
    windows(1)

    assert fleet.restarted == [(1, "resume"), (1, "identify")]


def test_a_shard_that_nothing_cures_is_told_as_an_error(fleet, windows, caplog):
    fleet.is_deaf = True
    windows(40)

    assert len(fleet.restarted) == 2
    assert [record.levelname for record in caplog.records if record.message == "shard.deaf"] == ["ERROR"]
