import dataclasses

import pytest

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.constants import READY_TIMEOUT_S
from gateway_service.protocol.effects import (
    CancelPermit,
    Close,
    Dial,
    IdentifyAnswered,
    IdentifySent,
    RequestGatewayUrl,
    RequestPermit,
)
from tests.support.machine import closed, endings, forgotten, noted, sent


def test_start_dials_the_generic_url(shell):
    assert shell.start() == [Dial("wss://gateway.discord.gg/?v=10&encoding=json")]


def test_the_wanted_compression_is_in_the_url(make_shell):
    (dial,) = make_shell(compression="zstd-stream").start()

    assert dial.url.endswith("compress=zstd-stream")


def test_a_stored_session_is_resumed_at_its_own_host(make_shell, stored_session):
    (dial,) = make_shell(session=stored_session).start()

    assert dial.url.startswith("wss://resume.discord.gg/")


def test_a_resume_repeats_the_compression_of_the_sessions_first_connection(make_shell, stored_session):
    session = dataclasses.replace(stored_session, compression="zlib-stream")

    (dial,) = make_shell(session=session, compression="zstd-stream").start()

    assert dial.url.endswith("compress=zlib-stream")


@pytest.mark.parametrize(
    "other", [{"shard_id": 2}, {"num_shards": 8}, {"intents": 1}, {"seq": -1}, {"session_id": "x" * 4096}]
)
def test_a_stored_session_that_cannot_be_resumed_is_forgotten(make_shell, stored_session, other):
    effects = make_shell(session=dataclasses.replace(stored_session, **other)).start()

    assert forgotten(effects)
    assert effects[-1] == Dial("wss://gateway.discord.gg/?v=10&encoding=json")


def test_it_is_forgotten_once(make_shell, stored_session):
    shell = make_shell(session=dataclasses.replace(stored_session, intents=1))
    shell.start()
    shell.perform(shell.machine.finish(4900, shell.now))

    assert not forgotten(shell.start())


def test_without_a_session_the_generic_url_is_asked_for_again_with_every_dial_after_the_third(shell):
    shell.start()
    asked = []
    for _ in range(5):
        asked.append(RequestGatewayUrl() in shell.dial_failed())
        shell.wait_until_dial()

    assert asked == [False, False, False, True, True]


@pytest.mark.parametrize("status", [None, 429, 503])
def test_a_refused_dial_backs_off_and_dials_again(shell, status):
    shell.start()
    shell.dial_failed(status)

    delay_s, dial = shell.wait_until_dial()

    assert (delay_s, dial.url) == (0.5, "wss://gateway.discord.gg/?v=10&encoding=json")


def test_a_dial_that_nobody_answers_is_given_up(shell):
    shell.start()

    effects = shell.wait(20.0)

    assert (closed(effects), endings(effects)[0]["cause"]) == ([4000], "timeout")


def test_a_silent_server_is_left_after_twenty_seconds(shell):
    shell.to_hello()

    assert (closed(shell.wait(19.9)), closed(shell.wait(0.2))) == ([], [4000])


def test_hello_without_a_session_asks_for_a_permit(shell):
    shell.to_hello()

    assert shell.hello() == [RequestPermit()]


def test_op_7_instead_of_hello_reconnects_resumably(shell):
    shell.to_hello()

    effects = shell.op(7)

    assert (closed(effects), shell.machine.state) == ([4000], "backoff")


@pytest.mark.parametrize("data", [None, {}, {"heartbeat_interval": "soon"}])
def test_a_senseless_hello_is_a_broken_stream(shell, data):
    shell.to_hello()

    assert endings(shell.op(10, data))[0]["cause"] == "broken_stream"


def test_a_second_hello_changes_nothing(shell):
    shell.to_live()
    deadline = shell.machine.next_deadline

    assert (noted(shell.hello(1.0)), shell.machine.next_deadline) == (["payload.unexpected"], deadline)


def test_the_permit_is_used_for_exactly_one_identify(shell):
    shell.to_permit_wait()

    first, second = shell.permit(), shell.permit()

    assert ([op for op, _ in sent(first)], first[-1], noted(second)) == ([2], IdentifySent(), ["happening.ignored"])


@pytest.mark.parametrize(
    "answer",
    [
        lambda shell: shell.ready(),
        lambda shell: shell.op(9, False),
        lambda shell: shell.lost(None),
        lambda shell: shell.lost(4004),
        lambda shell: shell.wait(READY_TIMEOUT_S),
        lambda shell: shell.perform(shell.machine.suspend(shell.now)),
        lambda shell: shell.perform(shell.machine.drain(shell.now)),
    ],
)
def test_whatever_ends_an_identify_is_its_answer(shell, answer):
    shell.to_permit_wait()
    shell.permit()

    assert [effect for effect in answer(shell) if isinstance(effect, IdentifyAnswered)] == [IdentifyAnswered()]


def test_identify_carries_shard_intents_and_presence(shell):
    shell.to_permit_wait()

    ((_, data),) = sent(shell.permit({"status": "idle"}))

    assert (data["token"], data["shard"], data["intents"], data["presence"]["status"]) == (
        "t.o.ken",
        [1, 4],
        513,
        "idle",
    )


@pytest.mark.parametrize("presence", [{"activities": [{"name": "x" * 4096}]}, {"since": {1}}, ["idle"]])
def test_identify_goes_without_a_presence_that_discord_would_refuse(shell, presence):
    shell.to_permit_wait()

    effects = shell.permit(presence)

    assert (noted(effects), "presence" in sent(effects)[0][1]) == (["presence.refused"], False)


@pytest.mark.parametrize(
    "end", [lambda shell: shell.lost(1006), lambda shell: shell.op(7), lambda shell: shell.op(9, False)]
)
def test_a_connection_that_ends_while_waiting_gives_its_permit_back(shell, end):
    shell.to_permit_wait()

    assert CancelPermit() in end(shell)


def test_waiting_for_a_permit_may_take_long(shell):
    shell.to_permit_wait()
    for _ in range(100):
        shell.wait(10.0)
        shell.op(11)

    assert shell.machine.state == "permit_wait"


def test_a_ready_that_does_not_come_is_given_up_after_thirty_seconds(make_shell, rng):
    rng.value = 0.99
    shell = make_shell()
    shell.to_identifying()

    assert (closed(shell.wait(29.9)), closed(shell.wait(0.2))) == ([], [4000])


def test_a_permit_that_comes_after_the_send_limit_is_reached_is_given_back(shell):
    shell.to_permit_wait()
    for _ in range(117):
        shell.op(1)
    for _ in range(3):
        assert shell.machine._wire.limiter.take_vital(shell.now)

    effects = shell.permit()

    assert (sent(effects), CancelPermit() in effects, endings(effects)[0]["cause"]) == ([], True, "send_limit")


@pytest.mark.parametrize(
    "options",
    [
        {"shard_id": 4},
        {"shard_id": -1},
        {"large_threshold": 49},
        {"large_threshold": 251},
        {"token": "x" * 4096},
        {"gateway_url": "https://discord.com"},
    ],
)
def test_numbers_that_discord_would_refuse_are_refused_here(make_shell, options):
    with pytest.raises(LocalProtocolError):
        make_shell(**options)


def test_the_token_is_in_no_repr(shell):
    shell.to_permit_wait()

    assert "t.o.ken" not in repr(shell.permit()) + repr(vars(shell.machine))


@pytest.mark.parametrize(
    ("state", "happening"),
    [
        ("live", "start"),
        ("live", "connected"),
        ("live", "permit"),
        ("live", "dial_failed"),
        ("idle", "lost"),
        ("backoff", "lost"),
        ("stopped", "lost"),
    ],
)
def test_a_report_about_the_past_is_ignored(shell, state, happening):
    shell.reach(state)

    assert (noted(getattr(shell, happening)()), shell.machine.state) == (["happening.ignored"], state)


@pytest.mark.parametrize("state", ["idle", "backoff", "dialing", "suspended", "stopped"])
def test_a_frame_without_a_connection_is_ignored(shell, state):
    shell.reach(state)

    assert shell.hello() == []


def test_a_replaced_generic_url_is_dialled_next(shell):
    shell.start()
    shell.machine.gateway_url = "wss://other.discord.gg"
    shell.dial_failed()

    assert shell.wait_until_dial()[1].url.startswith("wss://other.discord.gg/")


def test_due_timers_are_served_before_the_frame(shell):
    shell.to_hello()
    shell.now += 20.0

    assert shell.hello()[0] == Close(4000)
