import signal

import pytest

from gateway_service.errors import EX_CONFIG, EX_OK, EX_SOFTWARE, EX_UNAVAILABLE
from gateway_service.protocol.constants import FATAL_CLOSE_CODES, CloseCode
from gateway_service.supervisor.policy import (
    GiveUp,
    Policy,
    Restart,
    after_exit,
    after_refused_count,
    exit_meaning,
    fatal_close,
    has_failed_to_start,
    is_hung,
    is_insisting,
    stops_whole_bot,
)

POLICY = Policy(first_backoff_s=0.25, max_backoff_s=16.0, max_exits=8, window_s=60.0)


@pytest.mark.parametrize("code", [EX_OK, 1, EX_SOFTWARE, -9, -11])
def test_an_exit_is_followed_by_a_restart_soon(code):
    assert after_exit(code, [100.0], 100.0, POLICY) == Restart(not_before=100.25)


@pytest.mark.parametrize(("exits", "backoff_s"), [(1, 0.25), (2, 0.5), (3, 1.0), (6, 8.0), (7, 16.0)])
def test_the_backoff_doubles_with_every_exit_of_the_window(exits, backoff_s):
    assert after_exit(1, [100.0] * exits, 100.0, POLICY) == Restart(not_before=100.0 + backoff_s)


def test_the_backoff_has_an_end():
    patient = Policy(max_exits=10_000)

    assert after_exit(1, [100.0] * 2000, 100.0, patient) == Restart(not_before=116.0)


def test_exits_before_the_window_do_not_count():
    assert after_exit(1, [0.0] * 7 + [60.0], 60.0, POLICY) == Restart(not_before=60.25)


def test_too_many_exits_in_the_window_are_given_up():
    assert after_exit(-9, [100.0] * 8, 100.0, POLICY) == GiveUp("it ended 8 times within 60 s", EX_SOFTWARE)


def test_what_does_not_answer_outside_is_no_reason_to_end_the_other_processes():
    assert after_exit(EX_UNAVAILABLE, [100.0] * 20, 100.0, POLICY) == Restart(not_before=116.0)


def test_a_refused_configuration_is_given_up_at_once():
    decision = after_exit(EX_CONFIG, [100.0], 100.0, POLICY)

    assert isinstance(decision, GiveUp)
    assert decision.exit_code == EX_CONFIG


def test_a_process_that_dies_at_every_start_is_given_up():
    now, exits = 0.0, []
    for _ in range(POLICY.max_exits):
        now += 1.0  # how long a start takes
        exits.append(now)
        decision = after_exit(1, exits, now, POLICY)
        if isinstance(decision, Restart):
            now = decision.not_before

    assert isinstance(decision, GiveUp)


@pytest.mark.parametrize(("unanswered", "hung"), [(0, False), (4, False), (5, True)])
def test_a_child_is_hung_when_it_owes_too_many_pongs(unanswered, hung):
    assert is_hung(unanswered, Policy(max_unanswered_pings=5)) is hung


@pytest.mark.parametrize(("ticks", "failed"), [(1, False), (29, False), (30, True)])
def test_a_start_may_take_long_and_not_for_ever(ticks, failed):
    assert has_failed_to_start(ticks, Policy(ping_interval_s=2.0, start_timeout_s=60.0)) is failed


@pytest.mark.parametrize("code", [4010, 4011, 4000, 1006, None])
def test_what_concerns_one_shard_leaves_the_bot(code):
    assert not stops_whole_bot(code)


@pytest.mark.parametrize("code", [4004, 4012, 4013, 4014])
def test_what_concerns_every_shard_stops_the_bot(code):
    assert stops_whole_bot(code)


@pytest.mark.parametrize("code", sorted(FATAL_CLOSE_CODES))
def test_a_fatal_close_says_what_helps(code):
    assert str(fatal_close(3, code, "")).startswith(f"Discord closed shard 3 with {int(code)}: ")
    assert len(fatal_close(3, code, "").meaning) > 10


def test_a_fatal_close_names_the_setting():
    assert str(fatal_close(3, 4014, "")).endswith("(GATEWAY_INTENTS)")


@pytest.mark.parametrize(
    ("is_set", "recommended", "facts", "exit_code"),
    [
        (True, 8, "GATEWAY_SHARD_COUNT is 4; Discord recommends 8 now", EX_CONFIG),
        (True, None, "GATEWAY_SHARD_COUNT is 4; GET /gateway/bot would tell what Discord recommends", EX_CONFIG),
        (False, 4, "GATEWAY_SHARD_COUNT is auto, which gave 4; Discord recommends 4 now", EX_CONFIG),
        (
            False,
            8,
            "GATEWAY_SHARD_COUNT is auto, which gave 4; Discord recommends 8 now, which the next start takes",
            EX_UNAVAILABLE,
        ),
    ],
)
def test_a_refused_shard_count_is_told_with_the_one_that_discord_recommends(is_set, recommended, facts, exit_code):
    decision = after_refused_count(3, 4011, used=4, is_set=is_set, recommended=recommended)

    assert decision.reason == (
        f"Discord closed shard 3 with 4011: this shard would hold too many guilds; raise GATEWAY_SHARD_COUNT ({facts})"
    )
    assert decision.exit_code == exit_code


def test_a_fatal_close_without_a_known_code_keeps_its_reason():
    assert fatal_close(3, None, "no more").meaning == "no more"


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(0, "exit code 0"), (78, "exit code 78"), (-9, "killed by SIGKILL"), (-250, "killed by signal 250")],
)
def test_an_exit_code_has_words(code, meaning):
    assert exit_meaning(code) == meaning


def test_a_drain_ends_within_the_promised_ten_seconds():
    policy = Policy()

    assert policy.drain_timeout_s < policy.kill_after_s < 10


def test_the_whole_bot_codes_are_fatal_ones():
    assert CloseCode.INVALID_SHARD in FATAL_CLOSE_CODES
    assert all(code in FATAL_CLOSE_CODES for code in CloseCode if stops_whole_bot(code))


@pytest.mark.parametrize(
    ("number", "after_s", "insists"),
    [
        (signal.SIGTERM, 0.001, False),
        (signal.SIGTERM, 1.0, False),
        (signal.SIGTERM, 2.0, True),
        (signal.SIGINT, 0.001, False),
        (signal.SIGINT, 0.3, True),
    ],
)
def test_a_signal_handed_over_twice_is_one_and_a_person_can_insist(number, after_s, insists):
    assert is_insisting(number, after_s) is insists
