import dataclasses

import pytest

from gateway_service.errors import MessageTooLong, RemoteProtocolError
from gateway_service.protocol.reconnect import Cause, Ending, ReconnectPolicy, Retry, cause_of
from gateway_service.protocol.states import State

GENERIC = "wss://gateway.discord.gg"


@pytest.fixture
def policy():
    return ReconnectPolicy(lambda: 1.0)


def ending(cause=Cause.CLOSED, state=State.LIVE, now=1000.0, heard_at=1000.0, **more):
    return Ending(cause=cause, state=state, now=now, heard_at=heard_at, **more)


def dial_failed(now=1000.0):
    return ending(Cause.DIAL_FAILED, State.DIALING, now, heard_at=None)


def resume_failed(now=1000.0, code=None):
    return ending(Cause.CLOSED, State.RESUMING, now, heard_at=now, code=code)


def test_a_bomb_is_told_apart_from_a_broken_stream():
    assert cause_of(MessageTooLong(10_000)) is Cause.TOO_LONG
    assert cause_of(RemoteProtocolError("zlib: invalid code")) is Cause.BROKEN_STREAM


def test_failed_dials_back_off_from_one_second_doubling_to_sixty(policy):
    delays = [policy.after(dial_failed(), has_session=True).delay_s for _ in range(9)]

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_jitter_is_full():
    policy = ReconnectPolicy(lambda: 0.0)

    assert policy.after(dial_failed(), has_session=True).delay_s == 0.0


def test_going_live_resets_the_backoff(policy):
    for _ in range(5):
        policy.after(dial_failed(), has_session=True)
    policy.went_live(1000.0)

    assert policy.after(ending(now=2000.0), has_session=True).delay_s == 1.0


def test_short_lives_in_a_row_make_the_backoff_grow(policy):
    delays = []
    for _ in range(4):
        policy.went_live(1000.0)
        delays.append(policy.after(ending(now=1001.0), has_session=True).delay_s)

    assert delays == [1, 2, 4, 8]


def test_a_settled_connection_ends_the_row_of_short_lives(policy):
    policy.went_live(1000.0)
    policy.after(ending(now=1001.0), has_session=True)
    policy.went_live(2000.0)

    assert policy.after(ending(now=2010.0), has_session=True).delay_s == 1.0


def test_the_session_keeps_its_host_for_three_failures(policy, stored_session):
    urls = []
    for _ in range(4):
        urls.append(policy.base_url(stored_session, GENERIC))
        policy.after(dial_failed(), has_session=True)

    assert urls == [stored_session.resume_gateway_url] * 3 + [GENERIC]


def test_host_failures_never_cost_the_session(policy):
    decisions = [policy.after(dial_failed(1000.0 + 60 * number), has_session=True) for number in range(50)]

    assert {decision.forget for decision in decisions} == {None}


def test_without_a_session_the_generic_url_is_dialled(policy):
    assert policy.base_url(None, GENERIC) == GENERIC


def test_a_stored_url_that_cannot_be_dialled_is_not_used(policy, stored_session):
    broken = dataclasses.replace(stored_session, resume_gateway_url="https://x")

    assert policy.base_url(broken, GENERIC) == GENERIC


@pytest.mark.parametrize("cause", [Cause.OP_RECONNECT, Cause.TIMEOUT, Cause.BROKEN_STREAM, Cause.CLOSED])
def test_a_host_that_never_says_hello_is_a_host_failure(policy, cause):
    policy.after(ending(cause, State.HELLO_WAIT), has_session=True)

    assert (policy.host_failures, policy.resume_failures) == (1, 0)


def test_the_third_failed_resume_gives_the_session_up(policy):
    decisions = [policy.after(resume_failed(), has_session=True).forget for _ in range(3)]

    assert decisions == [None, None, "3 resumes failed"]


def test_a_resume_that_delivered_something_new_is_no_failure(policy):
    for _ in range(2):
        policy.after(resume_failed(), has_session=True)
    policy.after(dataclasses.replace(resume_failed(), progressed=True), has_session=True)

    assert policy.resume_failures == 0


def test_a_failed_resume_after_180_seconds_of_silence_gives_the_session_up(policy):
    policy.went_live(0.0)
    policy.after(ending(now=1000.0, heard_at=1000.0), has_session=True)

    assert policy.after(resume_failed(1181.0), has_session=True).forget is not None


def test_a_failed_resume_before_that_does_not(policy):
    policy.went_live(0.0)
    policy.after(ending(now=1000.0, heard_at=1000.0), has_session=True)

    assert policy.after(resume_failed(1179.0), has_session=True).forget is None


def test_silence_alone_does_not_give_the_session_up(policy):
    policy.went_live(0.0)
    policy.after(ending(now=1000.0, heard_at=1000.0), has_session=True)

    assert policy.after(dial_failed(9000.0), has_session=True).forget is None


@pytest.mark.parametrize("code", [4003, 4006, 4007, 4009])
def test_codes_that_want_a_new_session(policy, code):
    assert policy.after(ending(code=code), has_session=True).forget == f"closed with {code}"


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1012, 4000, 4001, 4002, 4005, 4008, 4099])
def test_codes_that_keep_the_session(policy, code):
    assert policy.after(ending(code=code), has_session=True).forget is None


@pytest.mark.parametrize("code", [4005, 4015, 4999])
def test_a_suspect_code_twice_without_a_resume_between_wants_a_new_session(policy, code):
    policy.after(ending(code=code), has_session=True)

    assert policy.after(resume_failed(code=code), has_session=True).forget == f"closed with {code} again"


def test_a_successful_resume_clears_the_suspicion(policy):
    policy.after(ending(code=4999), has_session=True)
    policy.went_live(1001.0)

    assert policy.after(ending(code=4999), has_session=True).forget is None


@pytest.mark.parametrize(
    ("value", "cause", "delay_s"),
    [
        (0.0, Cause.OP_RECONNECT, 0.0),
        (1.0, Cause.OP_RECONNECT, 2.0),
        (0.0, Cause.SESSION_INVALID, 1.0),
        (1.0, Cause.SESSION_INVALID, 5.0),
        (0.0, Cause.SESSION_RESUMABLE, 1.0),
        (1.0, Cause.SESSION_RESUMABLE, 5.0),
        (1.0, Cause.ZOMBIE, 1.0),
        (1.0, Cause.OPERATOR, 0.0),
    ],
)
def test_each_cause_has_its_wait(value, cause, delay_s):
    policy = ReconnectPolicy(lambda: value)
    policy.went_live(0.0)

    assert policy.after(ending(cause), has_session=True).delay_s == delay_s


def test_after_4008_we_wait_five_seconds(policy):
    policy.went_live(0.0)

    assert policy.after(ending(code=4008), has_session=True).delay_s == 6.0


def test_invalid_sessions_in_a_row_back_off_beyond_the_advised_wait(policy):
    for _ in range(6):
        policy.after(dial_failed(), has_session=False)

    assert policy.after(ending(Cause.SESSION_INVALID, State.IDENTIFYING), has_session=False).delay_s == 60.0


def test_repeated_identifies_back_off_to_ten_minutes():
    policy, waits = ReconnectPolicy(lambda: 0.0), []
    for _ in range(10):
        policy.identify_sent()
        waits.append(policy.after(ending(Cause.TIMEOUT, State.IDENTIFYING), has_session=False).delay_s)

    assert waits == [0, 5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_sessions_lost_as_soon_as_they_open_count_as_repeated_identifies():
    policy, waits = ReconnectPolicy(lambda: 0.0), []
    for _ in range(5):
        policy.identify_sent()
        policy.went_live(1000.0)
        waits.append(policy.after(ending(Cause.SESSION_INVALID, now=1001.0), has_session=True).delay_s)

    assert waits == [1, 5, 10, 20, 40]


def test_a_settled_session_makes_the_next_identify_a_first_one(policy):
    for _ in range(5):
        policy.identify_sent()
    policy.went_live(0.0)

    assert policy.after(ending(Cause.SESSION_INVALID), has_session=True).delay_s == 5.0


def test_an_operators_reconnect_counts_as_nothing(policy):
    for state in (State.DIALING, State.HELLO_WAIT, State.RESUMING, State.LIVE):
        assert policy.after(ending(Cause.OPERATOR, state), has_session=True) == Retry(0.0)

    assert (policy.host_failures, policy.resume_failures) == (0, 0)


def test_a_forgotten_session_leaves_no_failures_behind(policy):
    for _ in range(3):
        policy.after(resume_failed(), has_session=True)

    assert (policy.host_failures, policy.resume_failures) == (0, 0)
