"""The identify budget over simulated days."""

from math import inf

import pytest

from gateway_service.protocol.budget import (
    FRESH_NEAR_RESERVE_S,
    FRESH_S,
    MIN_ASK_INTERVAL_S,
    MIN_RESET_WAIT_S,
    Grant,
    IdentifyBudget,
    StartLimit,
    Wait,
    WaitReason,
    reserve_of,
)
from gateway_service.protocol.constants import IDENTIFY_DAY_S

NOW = 1_000_000.0
HOUR_S = 3600.0


def budget(remaining=None, *, total=1000, reset_after_s=10 * HOUR_S, asked_at=NOW, num_shards=4, **options):
    made = IdentifyBudget(**{"num_shards": num_shards, "reserve_percent": 20, "rng": lambda: 0.5, **options})
    if remaining is not None:
        made.learn(StartLimit(total=total, remaining=remaining, reset_after_s=reset_after_s, asked_at=asked_at))
    return made


def spend(subject, count, at=NOW, *, first_shard=100):
    """Send from a different shard each time, so that the breaker has nothing to say."""
    for shard_id in range(first_shard, first_shard + count):
        subject.sent(shard_id, 10_000, at)


@pytest.mark.parametrize(
    ("total", "percent", "reserve"), [(1000, 20, 200), (1001, 20, 201), (1000, 0, 1), (5, 90, 5), (2000, 20, 400)]
)
def test_the_reserve_is_a_part_of_the_limit_and_never_nothing(total, percent, reserve):
    assert reserve_of(total, percent) == reserve


@pytest.mark.parametrize(
    ("remaining", "unforced", "forced"),
    [
        (1000, Grant(), Grant()),
        (201, Grant(), Grant()),
        (200, WaitReason.RESERVE, Grant(forced=True)),
        (1, WaitReason.RESERVE, Grant(forced=True)),
        (0, WaitReason.EXHAUSTED, WaitReason.EXHAUSTED),
    ],
)
def test_what_is_left_decides(remaining, unforced, forced):
    def said(is_forced):
        decision = budget(remaining, is_forced=is_forced).decide(0, NOW)
        return decision.reason if isinstance(decision, Wait) else decision

    assert (said(False), said(True)) == (unforced, forced)


def test_what_was_sent_since_the_answer_is_subtracted():
    subject = budget(203)
    spend(subject, 3, NOW + 60)

    assert (subject.remaining(NOW + 60), subject.decide(0, NOW + 60).reason) == (200, WaitReason.RESERVE)


def test_an_answer_may_not_know_of_the_last_moments():
    subject = budget(500)
    spend(subject, 5, NOW - 2)

    assert subject.remaining(NOW) == 495


def test_the_own_account_counts_when_it_is_the_worse_one():
    subject = budget(1000, reset_after_s=20 * HOUR_S)
    spend(subject, 300, NOW - HOUR_S)

    assert subject.remaining(NOW) == 700


def test_what_was_spent_before_the_window_of_discord_is_over():
    subject = budget(1000, reset_after_s=23 * HOUR_S)
    spend(subject, 900, NOW - 2 * HOUR_S)

    assert subject.remaining(NOW) == 1000


def test_while_no_window_is_open_nothing_was_spent():
    subject = budget(1000, reset_after_s=0.0)
    spend(subject, 900, NOW - HOUR_S)

    assert subject.remaining(NOW) == 1000


def test_without_an_answer_a_day_of_the_own_account_counts():
    subject = budget()
    spend(subject, 600, NOW)
    spend(subject, 100, NOW + 12 * HOUR_S, first_shard=5000)

    assert subject.remaining(NOW + 12 * HOUR_S) == 300
    assert subject.remaining(NOW + IDENTIFY_DAY_S + 1) == 900


@pytest.mark.parametrize("remaining", [0, 200])
def test_a_wait_for_the_reset_ends_a_little_after_it(remaining):
    assert budget(remaining, reset_after_s=HOUR_S).decide(0, NOW).until == NOW + HOUR_S + 30.0


def test_a_reset_in_0_s_is_no_reset_at_once():
    wait = budget(0, reset_after_s=0.0).decide(0, NOW)

    assert wait.until >= NOW + MIN_RESET_WAIT_S


@pytest.mark.parametrize("late_s", [0.0, 1.0, 86_400.0])
def test_a_reset_that_nobody_confirmed_is_waited_for_without_a_hot_loop(late_s):
    subject = budget(0, reset_after_s=HOUR_S)
    now = NOW + HOUR_S + 30.0 + late_s
    subject.asked(now)

    assert subject.decide(0, now).until >= now + MIN_RESET_WAIT_S
    assert subject.ask_at(now, waiting=1) >= now + MIN_ASK_INTERVAL_S


@pytest.mark.parametrize(
    ("remaining", "waiting", "after_s"),
    [
        (1000, 0, FRESH_S),
        (1000, 5, FRESH_S),
        (205, 0, FRESH_S),
        (205, 5, FRESH_NEAR_RESERVE_S),
        (200, 0, FRESH_S),
        (200, 1, FRESH_S),
        (0, 1, FRESH_S),
    ],
)
def test_discord_is_asked_more_often_when_every_identify_counts(remaining, waiting, after_s):
    assert budget(remaining).ask_at(NOW, waiting=waiting) == NOW + after_s


def test_discord_is_asked_when_the_reset_is_over():
    assert budget(0, reset_after_s=120.0).ask_at(NOW, waiting=1) == NOW + 150.0


def test_who_was_never_asked_is_asked_at_once():
    assert budget().ask_at(NOW, waiting=0) == -inf


@pytest.mark.parametrize(("remaining", "can"), [(1000, True), (204, True), (203, False), (0, False)])
def test_the_forecast_tells_whether_a_full_restart_is_affordable(remaining, can):
    forecast = budget(remaining).forecast(NOW)

    assert (forecast.can_restart_all, forecast.remaining, forecast.reserve) == (can, remaining, 200)
    assert forecast.reset_at == NOW + 10 * HOUR_S


def test_after_the_reset_and_a_new_answer_it_goes_on():
    subject = budget(0, reset_after_s=120.0)
    now = subject.ask_at(NOW, waiting=1)
    subject.asked(now)
    subject.learn(StartLimit(total=1000, remaining=1000, reset_after_s=0.0, asked_at=now))

    assert subject.decide(0, now) == Grant()


def test_force_does_not_open_the_breaker():
    subject = budget(1000, is_forced=True)
    for _ in range(8):
        subject.sent(0, 4, NOW)

    assert subject.decide(0, NOW).reason is WaitReason.BREAKER
