import pytest

from gateway_service.ipc.statuses import ShardStatus
from gateway_service.supervisor.status import COUNTERS, Reconnects, ShardBoard


def status(shard_id=0, state="live", **fields):
    return ShardStatus(shard_id=shard_id, state=state, since=5.0, **fields)


def test_a_shard_without_a_word_has_the_state_of_its_process():
    board = ShardBoard([0, 1])

    assert board.shards("STARTING", 7.0) == (
        ShardStatus(shard_id=0, state="STARTING", since=7.0),
        ShardStatus(shard_id=1, state="STARTING", since=7.0),
    )


def test_the_last_report_counts():
    board = ShardBoard([0])
    board.report([status(received=1)])
    board.report([status(received=2, latency_s=0.1)])

    assert board.shards("RUNNING", 7.0) == (status(received=2, latency_s=0.1),)


@pytest.mark.parametrize("counter", COUNTERS)
def test_counters_add_up_over_children(counter):
    board = ShardBoard([0])
    for count in (3, 5):
        board.report([status(**{counter: count})])
        board.child_ended()
    board.report([status(**{counter: 7})])

    assert getattr(board.shards("RUNNING", 7.0)[0], counter) == 15


def test_a_child_that_ended_leaves_its_counters_and_nothing_else():
    board = ShardBoard([0])
    board.report([status(published=3, guilds=9, session="abc")])
    board.child_ended()

    assert board.shards("BACKOFF", 7.0) == (ShardStatus(shard_id=0, state="BACKOFF", since=7.0, published=3),)


def test_a_child_that_never_reported_takes_nothing_away():
    board = ShardBoard([0])
    board.report([status(published=3)])
    board.child_ended()
    board.child_ended()

    assert board.shards("BACKOFF", 7.0)[0].published == 3


def test_a_refused_shard_is_fatal_with_its_first_reason_whatever_is_reported():
    board = ShardBoard([0, 1])
    board.fatal(1, "4010: wrong", 9.0)
    board.fatal(1, "again", 10.0)
    board.report([status(0), status(1, "STOPPED", received=4)])

    fatal = board.shards("RUNNING", 7.0)[1]
    assert (fatal.state, fatal.reason, fatal.since, fatal.received) == ("FATAL", "4010: wrong", 9.0, 4)
    assert board.living == (0,)


def test_a_report_on_a_foreign_shard_is_passed_over():
    board = ShardBoard([0])
    board.report([status(7)])

    assert [shard.shard_id for shard in board.shards("RUNNING", 7.0)] == [0]


def test_ended_connections_add_up_over_reports_and_children():
    reconnects = Reconnects()
    reconnects.report([("closed", "1001", 1)])
    reconnects.report([("closed", "1001", 2), ("zombied", "none", 1)])
    reconnects.child_ended()
    assert reconnects.counts() == {("closed", "1001"): 2, ("zombied", "none"): 1}

    reconnects.child_ended()
    reconnects.report([("closed", "1001", 5)])
    assert reconnects.counts() == {("closed", "1001"): 7, ("zombied", "none"): 1}
