from dataclasses import replace

import pytest

from gateway_service.control.health import why_not_ready
from tests.support.fleet import process, shard, snapshot


def test_live_shards_and_a_broker_are_ready():
    assert why_not_ready(snapshot(shard(0), shard(1))) == []


def test_each_reason_is_a_sentence():
    found = why_not_ready(
        snapshot(
            shard(0),
            shard(1, "identifying"),
            shard(2, "identifying"),
            shard(3, "FATAL", reason="4004: the token"),
            processes=[
                process(0, [0, 1], broker="down", broker_error="refused"),
                process(1, [2]),
                process(2, [3], "FATAL"),
            ],
        )
    )

    assert found == [
        "1 of 4 shards are FATAL",
        "2 of 4 shards are identifying",
        "shard 3 is FATAL: 4004: the token",
        "process 0: the broker is down: refused",
        "process 2 is FATAL",
    ]


def test_before_the_start_nothing_is_ready():
    assert why_not_ready(snapshot(processes=[process(0, [], "STARTING")])) == ["process 0 is STARTING"]


@pytest.mark.parametrize("teller", ["supervisor", "process"])
def test_a_state_store_that_is_away_is_a_reason_whoever_noticed_it(teller):
    away = "the state store at redis://host/0 is not available: refused"
    told = replace(snapshot(shard(0)), state_error=away)
    if teller == "process":
        healthy = process(0, [0])
        status = healthy.status.model_copy(update={"state_error": away})
        told = snapshot(shard(0), processes=[replace(healthy, status=status)])

    assert why_not_ready(told) == [f"nobody can IDENTIFY and sessions are kept in memory: {away}"]
