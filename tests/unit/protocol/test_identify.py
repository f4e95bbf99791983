from itertools import pairwise
from math import inf

import pytest

from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.identify import HOLD_TIMEOUT_S, IdentifyScheduler


def scheduler(max_concurrency=1, rng=lambda: 0.0, **options):
    return IdentifyScheduler(max_concurrency, rng=rng, **options)


def run(schedule, latency_s=0.05):
    """Let Discord answer every granted shard ``latency_s`` later; return [(shard, answered at)]."""
    now, log = 0.0, []
    while (deadline := schedule.next_deadline) != inf:
        now = max(now, deadline)
        for shard_id in schedule.due(now):
            schedule.answered(shard_id, now + latency_s)
            log.append((shard_id, now + latency_s))
    return log


def test_32_shards_one_at_a_time_identify_in_order():
    schedule = scheduler()
    for shard_id in reversed(range(32)):
        schedule.request(shard_id, 0.0)

    assert [shard_id for shard_id, _ in run(schedule)] == list(range(32))


@pytest.mark.parametrize("jitter", [0.0, 0.99])
def test_32_shards_one_at_a_time_keep_the_spacing_from_the_answer(jitter):
    schedule = scheduler(rng=lambda: jitter)
    for shard_id in range(32):
        schedule.request(shard_id, 0.0)
    times = [at for _, at in run(schedule)]

    gaps = [later - earlier for earlier, later in pairwise(times)]

    assert min(gaps) >= IDENTIFY_SPACING_S
    assert max(gaps) < IDENTIFY_SPACING_S + 0.6


def test_however_late_discord_gets_an_identify_the_next_is_a_window_later():
    schedule = scheduler()
    ways_s = [2.2, 0.0, 4.9, 0.01, 9.0, 0.3]
    for shard_id in range(len(ways_s)):
        schedule.request(shard_id, 0.0)

    now, arrived_at = 0.0, []
    for way_s in ways_s:
        now = schedule.next_deadline if schedule.next_deadline < now + HOLD_TIMEOUT_S else now
        [shard_id] = schedule.due(now)
        arrived_at.append(now + way_s)
        now += way_s + 0.05
        schedule.answered(shard_id, now)

    assert min(later - earlier for earlier, later in pairwise(arrived_at)) >= IDENTIFY_SPACING_S


def test_32_shards_sixteen_at_a_time_go_in_two_waves_in_order():
    schedule = scheduler(16)
    for shard_id in reversed(range(32)):
        schedule.request(shard_id, 0.0)
    log = run(schedule)

    first, second = log[:16], log[16:]
    assert [shard_id for shard_id, _ in log] == list(range(32))
    assert {at for _, at in first} == {0.05}
    assert min(at for _, at in second) >= 0.05 + IDENTIFY_SPACING_S


def test_a_key_is_held_until_the_identify_was_answered():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.request(1, 0.0)
    schedule.due(0.0)

    assert schedule.due(HOLD_TIMEOUT_S - 1) == []


def test_a_permit_that_was_not_used_frees_its_key_at_once():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.request(1, 0.0)
    schedule.due(0.0)
    schedule.cancel(0)

    assert schedule.due(0.0) == [1]


def test_a_cancelled_request_is_not_granted():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.cancel(0)

    assert (schedule.due(0.0), schedule.waiting, schedule.next_deadline) == ([], (), inf)


def test_a_silent_holder_counts_as_answered_when_its_hold_ends():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.request(1, 0.0)
    schedule.due(0.0)

    at_timeout = schedule.due(schedule.next_deadline)
    after_spacing = schedule.due(schedule.next_deadline)

    assert (at_timeout, after_spacing) == ([], [1])


def test_the_spacing_after_a_silent_holder_counts_from_the_end_of_its_hold():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.request(1, 0.0)
    schedule.due(0.0)
    schedule.due(HOLD_TIMEOUT_S)

    assert schedule.next_deadline == HOLD_TIMEOUT_S + IDENTIFY_SPACING_S


def test_asking_again_takes_back_the_own_permit():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.due(0.0)
    schedule.request(0, 1.0)

    assert schedule.due(1.0) == [0]


def test_keys_do_not_wait_for_each_other():
    schedule = scheduler(2)
    schedule.request(0, 0.0)
    schedule.request(1, 0.0)
    schedule.request(2, 0.0)

    assert schedule.due(0.0) == [0, 1]


def test_a_key_that_another_service_has_waits_with_all_its_shards_and_the_others_do_not():
    schedule = scheduler(2)
    for shard_id in (0, 1, 2):
        schedule.request(shard_id, 100.0)
    schedule.due(100.0)
    schedule.taken_elsewhere(0, 104.0)

    assert [schedule.is_held(0), schedule.is_held(1)] == [False, True]
    assert (schedule.due(103.0), schedule.next_deadline) == ([], 104.0)
    assert schedule.due(104.0) == [0]


def test_a_shard_that_gave_its_turn_up_is_not_queued_for_a_key_that_another_service_has():
    schedule = scheduler()
    schedule.taken_elsewhere(0, 104.0)

    assert schedule.waiting == ()


def test_an_identify_that_was_not_granted_here_still_spaces():
    schedule = scheduler()
    schedule.answered(0, 100.0)
    schedule.request(0, 100.0)

    assert schedule.due(101.0) == []


def test_a_late_report_does_not_shorten_the_spacing():
    schedule = scheduler()
    schedule.answered(0, 100.0)
    schedule.answered(0, 90.0)
    schedule.request(0, 100.0)

    assert schedule.next_deadline == 100.0 + IDENTIFY_SPACING_S


def test_a_postponed_shard_leaves_its_key_to_the_next():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.request(1, 0.0)
    schedule.due(0.0)
    schedule.postpone(0, 50.0)

    assert schedule.due(0.0) == [1]


def test_a_postponed_shard_has_its_turn_when_it_is_time():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.due(0.0)
    schedule.postpone(0, 50.0)

    assert (schedule.due(49.0), schedule.next_deadline, schedule.due(50.0)) == ([], 50.0, [0])


def test_what_was_postponed_is_looked_at_again_when_something_changed():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.due(0.0)
    schedule.postpone(0, 50.0)
    schedule.reconsider(3.0)

    assert schedule.due(3.0) == [0]


def test_a_shard_that_is_gone_is_not_postponed():
    schedule = scheduler()
    schedule.request(0, 0.0)
    schedule.due(0.0)
    schedule.cancel(0)
    schedule.postpone(0, 50.0)

    assert schedule.waiting == ()


@pytest.mark.parametrize(("before", "after", "due"), [(1, 16, []), (16, 1, []), (16, 8, [9])])
def test_another_concurrency_keeps_what_was_sent_apart(before, after, due):
    schedule = scheduler(before)
    schedule.answered(0, 100.0)
    schedule.set_max_concurrency(after)
    schedule.request(0, 101.0)
    schedule.request(9 if due else 0, 101.0)

    assert schedule.due(101.0) == due


@pytest.mark.parametrize("nonsense", [0, -3])
def test_concurrency_is_at_least_one(nonsense):
    assert scheduler(nonsense).max_concurrency == 1
