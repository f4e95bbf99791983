"""The breaker over simulated days."""

import random
from heapq import heappop, heappush

import pytest

from gateway_service.protocol.breaker import (
    LIVED_S,
    SHARD_WINDOW_CAP_S,
    SHARD_WINDOW_START_S,
    IdentifyBreaker,
)
from gateway_service.protocol.constants import IDENTIFY_DAY_S

SPARE = 800
NEVER_MORE = 1.0


def breaker(jitter=NEVER_MORE):
    return IdentifyBreaker(lambda: jitter)


def delays(subject, count, *, num_shards=1):
    """Identify again at once, ``count`` times; return how long each had to wait."""
    now, waited = 1000.0, []
    for _ in range(count):
        at = max(now, subject.not_before(0, num_shards, SPARE, now))
        waited.append(at - now)
        now = at
        subject.sent(0, num_shards, now)
    return waited


def a_day_of(num_shards, lived_s, spare=SPARE):
    """Return how many IDENTIFYs the shards of a bot send in a day when each session lives for ``lived_s``."""
    subject = IdentifyBreaker(random.Random(num_shards).random)
    wishes = [(0.0, shard_id) for shard_id in range(num_shards)]
    sent = 0
    while wishes[0][0] < IDENTIFY_DAY_S:
        now, shard_id = heappop(wishes)
        at = subject.not_before(shard_id, num_shards, spare, now)
        if at <= now:
            subject.sent(shard_id, num_shards, now)
            sent += 1
            at = now + lived_s
        heappush(wishes, (at, shard_id))
    return sent


def test_the_first_two_are_free_and_then_the_window_doubles_up_to_its_cap():
    waited = delays(breaker(), 12, num_shards=1000)

    assert waited[:5] == [0.0, 0.0, SHARD_WINDOW_START_S, 2 * SHARD_WINDOW_START_S, 4 * SHARD_WINDOW_START_S]
    assert waited[-1] == SHARD_WINDOW_CAP_S >= 600.0


def test_the_jitter_is_full():
    assert sum(delays(breaker(0.0), 12, num_shards=1000)) == 0.0


def test_a_session_that_lived_ends_the_streak():
    subject = breaker()
    delays(subject, 8, num_shards=1000)
    later = 1e6 + LIVED_S

    assert subject.not_before(0, 1000, SPARE, later) == later


def test_another_shard_and_another_shard_count_are_not_slowed():
    subject = breaker()
    delays(subject, 10, num_shards=1000)

    assert (subject.not_before(1, 1000, SPARE, 5.0), subject.not_before(0, 2000, SPARE, 5.0)) == (5.0, 5.0)


def test_a_bot_may_lose_every_session_once():
    subject = breaker()
    for _ in range(2):
        for shard_id in range(200):
            assert subject.not_before(shard_id, 200, SPARE, 1000.0) <= 1000.0
            subject.sent(shard_id, 200, 1000.0)

    assert subject.is_open(SPARE, 1000.0)


def opened():
    """Return a breaker that 200 repeats have opened at 1000.0, by shards whose own window is over."""
    subject = breaker(0.0)
    for shard_id in range(200):
        subject.sent(shard_id, 200, 1000.0)
        subject.sent(shard_id, 200, 1000.0)
    return subject


def test_the_open_breaker_slows_every_repeat_and_no_first_one():
    subject = opened()

    assert subject.not_before(0, 200, SPARE, 1000.0) == 1000.0 + IDENTIFY_DAY_S / 200
    assert subject.not_before(0, 400, SPARE, 1000.0) == 1000.0


def test_the_breaker_closes_a_day_later():
    subject = opened()

    assert (subject.is_open(SPARE, 1000.0), subject.is_open(SPARE, 1001.0 + IDENTIFY_DAY_S)) == (True, False)


@pytest.mark.parametrize("lived_s", [0.0, 3600.0])
@pytest.mark.parametrize("num_shards", [1, 16, 100])
def test_a_day_of_sessions_that_die_stays_far_below_the_limit(num_shards, lived_s):
    assert a_day_of(num_shards, lived_s) <= num_shards + 2 * SPARE // 4 + 1


def test_one_shard_in_a_loop_spends_a_seventh_of_the_limit():
    assert 100 <= a_day_of(1, 0.0) <= 180


def test_a_large_bot_in_a_loop_stays_within_what_large_bots_have():
    total = 5 * 100

    assert a_day_of(100, 30.0, spare=total * 4 // 5) <= 0.61 * total
