import pytest

from gateway_service.protocol.constants import FATAL_CLOSE_MEANINGS, RESUME_STALL_S
from gateway_service.protocol.effects import Note, RequestGatewayUrl, RequestPermit, SessionOpened, Stopped
from tests.support.machine import closed, delivered, endings, forgotten, noted, payload, sent

GENERIC = "wss://gateway.discord.gg/?v=10&encoding=json"
RESUME = "wss://resume.discord.gg/?v=10&encoding=json"


def resume_once(shell):
    """From BACKOFF to RESUMING; return the URL that was dialled."""
    _, dial = shell.wait_until_dial()
    shell.connected()
    shell.hello()
    return dial.url


def test_a_stored_session_resumes_from_what_was_published(make_shell, stored_session):
    shell = make_shell(session=stored_session)
    shell.to_hello()

    assert sent(shell.hello()) == [(6, {"token": "t.o.ken", "session_id": "stored", "seq": 41})]


def test_a_resume_needs_no_permit(make_shell, stored_session):
    shell = make_shell(session=stored_session)
    shell.to_hello()

    assert RequestPermit() not in shell.hello()


def test_a_replay_in_a_fresh_process_is_delivered(make_shell, stored_session):
    shell = make_shell(session=stored_session)
    shell.to_hello()
    shell.hello()

    effects = [*shell.dispatch("GUILD_CREATE", {"id": "7"}, 42), *shell.resumed(43)]

    assert delivered(effects) == [("GUILD_CREATE", 42), ("RESUMED", 43)]
    assert effects[0].kind == "startup"


def test_a_replay_in_the_same_process_is_dropped_as_far_as_it_was_received(shell):
    shell.to_live()
    shell.dispatch("MESSAGE_CREATE", {}, 2)
    shell.dispatch("MESSAGE_CREATE", {}, 3)
    shell.machine.published(2)
    shell.lost()
    resume_once(shell)
    assert sent(shell.effects)[-1] == (6, {"token": "t.o.ken", "session_id": "s-1", "seq": 2})

    effects = [*shell.dispatch("MESSAGE_CREATE", {}, 3), *shell.dispatch("MESSAGE_CREATE", {}, 4), *shell.resumed(5)]

    assert delivered(effects) == [("MESSAGE_CREATE", 4), ("RESUMED", 5)]
    assert noted(effects) == ["dispatch.duplicate", "session.resumed"]


def test_a_replayed_ready_of_the_same_session_changes_nothing(make_shell, stored_session):
    shell = make_shell(session=stored_session)
    shell.to_hello()
    shell.hello()

    effects = shell.ready(session_id="stored", seq=42)

    assert (delivered(effects), shell.machine.state, shell.machine.received_seq) == ([("READY", 42)], "resuming", 42)


def test_another_sessions_ready_while_resuming_replaces_the_session(shell):
    shell.to_resuming()

    effects = shell.ready(session_id="s-2", seq=1)

    assert (shell.machine.state, shell.machine.received_seq) == ("live", 1)
    assert [effect.session.session_id for effect in effects if isinstance(effect, SessionOpened)] == ["s-2"]


@pytest.mark.parametrize("seq", [None, 1])
def test_resumed_makes_the_shard_live_even_without_a_new_number(shell, seq):
    shell.to_resuming()

    effects = shell.receive(payload(0, None, seq, "RESUMED"))

    assert (shell.machine.state, delivered(effects)) == ("live", [])


def test_resumed_while_live_is_only_delivered(shell):
    shell.to_live()

    assert (delivered(shell.resumed()), shell.machine.state) == ([("RESUMED", 2)], "live")


def replayed_in(effects):
    notes = [effect for effect in effects if isinstance(effect, Note) and "replayed" in effect.fields]
    return [(note.name, note.fields["replayed"]) for note in notes]


def test_what_follows_an_earlier_resumed_in_a_replay_is_counted_with_the_next(make_shell, stored_session):
    shell = make_shell(session=stored_session)
    shell.to_hello()
    shell.hello()

    effects = []
    for seq, event in enumerate(["M", "RESUMED", "M", "M", "RESUMED", "M", "RESUMED"], start=42):
        effects += shell.dispatch(event, {}, seq)

    assert replayed_in(effects) == [("session.resumed", 2), ("session.replayed", 3), ("session.replayed", 2)]


def test_an_earlier_resumed_that_was_received_before_hides_nothing_either(shell):
    shell.to_resuming()
    shell.resumed(2)
    shell.dispatch("M", {}, 3)
    shell.lost()
    resume_once(shell)

    effects = [*shell.resumed(2), *shell.dispatch("M", {}, 3), *shell.dispatch("M", {}, 4), *shell.resumed(5)]

    assert replayed_in(effects) == [("session.resumed", 0), ("session.replayed", 2)]


def test_a_resumed_that_comes_twice_counts_nothing_twice(shell):
    shell.to_resuming()

    effects = [*shell.resumed(2), *shell.resumed(2), *shell.dispatch("M", {}, 3), *shell.resumed(2)]

    assert replayed_in(effects) == [("session.resumed", 1)]


def test_a_resume_is_not_timed_as_a_whole(shell):
    shell.to_resuming()
    for seq in range(20):
        shell.wait(15)
        shell.op(11)
        shell.dispatch("MESSAGE_CREATE", {}, seq + 2)

    assert shell.machine.state == "resuming"


def test_a_resume_without_any_frame_for_a_minute_is_given_up(make_shell, rng):
    rng.value = 0.9
    shell = make_shell()
    shell.to_live()
    shell.wait(20)
    shell.lost()
    shell.wait_until_dial()
    shell.connected()
    shell.hello(interval_s=100)

    assert (closed(shell.wait(59.9)), closed(shell.wait(0.2))) == ([], [4000])


def test_three_dead_dials_lead_to_the_generic_url_with_a_resume(shell):
    shell.to_live()
    shell.lost()
    urls = []
    for _ in range(4):
        urls.append(shell.wait_until_dial()[1].url)
        shell.dial_failed(503)
    shell.wait_until_dial()
    shell.connected()

    assert urls == [RESUME, RESUME, RESUME, GENERIC]
    assert sent(shell.hello())[0][0] == 6


def test_a_generic_url_that_fails_too_is_asked_for_again_and_the_answer_is_dialled_with_a_resume(shell):
    shell.to_live()
    shell.lost()
    asked = []
    for _ in range(4):
        shell.wait_until_dial()
        asked.append(RequestGatewayUrl() in shell.dial_failed())
    shell.machine.gateway_url = "wss://elsewhere.discord.gg"
    _, dial = shell.wait_until_dial()
    shell.connected()

    assert asked == [False, False, False, True]
    assert dial.url.startswith("wss://elsewhere.discord.gg/")
    assert sent(shell.hello())[0][0] == 6


def test_a_new_generic_url_leaves_the_sessions_host_the_first_choice(shell):
    shell.to_live()
    shell.machine.gateway_url = "wss://elsewhere.discord.gg"
    shell.lost()

    assert shell.wait_until_dial()[1].url == RESUME


@pytest.mark.parametrize(
    "failure", [lambda shell: shell.lost(1006), lambda shell: shell.wait(20), lambda shell: shell.op(7)]
)
def test_a_host_that_upgrades_and_never_says_hello_counts_like_a_dead_one(shell, failure):
    shell.to_live()
    shell.lost()
    for _ in range(3):
        shell.wait_until_dial()
        shell.connected()
        failure(shell)

    assert (shell.wait_until_dial()[1].url, shell.machine.resumable) == (GENERIC, True)


def test_resumed_gives_the_sessions_host_another_chance(shell):
    shell.to_live()
    shell.lost()
    for _ in range(3):
        shell.wait_until_dial()
        shell.dial_failed()
    resume_once(shell)
    shell.resumed()
    shell.lost()

    assert shell.wait_until_dial()[1].url == RESUME


def test_three_failed_resumes_lead_to_a_new_session(shell):
    shell.to_live()
    shell.lost()
    for _ in range(3):
        resume_once(shell)
        effects = shell.lost(1006)

    assert (forgotten(effects), endings(effects)[0]["resume"]) == (True, False)
    assert shell.wait_until_dial()[1].url == GENERIC


def test_two_failed_resumes_and_a_good_one_keep_the_session(shell):
    shell.to_live()
    for _ in range(2):
        shell.lost()
        for _ in range(2):
            resume_once(shell)
            shell.lost(1006)
        resume_once(shell)
        shell.resumed()

    assert not forgotten(shell.effects)


def test_op_9_true_in_every_resume_ends_in_a_new_session(shell):
    shell.to_live()
    shell.op(9, data=True)
    for _ in range(3):
        resume_once(shell)
        effects = shell.op(9, data=True)

    assert forgotten(effects)


def test_op_7_while_live_resumes_within_two_seconds(shell, rng):
    rng.value = 0.999
    shell.to_live()
    shell.wait(15)
    effects = shell.op(7)
    delay_s, dial = shell.wait_until_dial()

    assert (closed(effects), dial.url) == ([4000], RESUME)
    assert delay_s <= 2.0


def test_op_7_in_the_middle_of_a_replay_resumes_where_it_was(shell):
    shell.to_resuming()
    shell.dispatch("MESSAGE_CREATE", {}, 2)
    shell.machine.published(2)
    shell.op(7)
    resume_once(shell)

    assert sent(shell.effects)[-1][1]["seq"] == 2


@pytest.mark.parametrize("state", ["identifying", "resuming", "live"])
@pytest.mark.parametrize("data", [False, None, "true", 1])
def test_op_9_false_forgets_everything_and_identifies_at_the_generic_url(shell, state, data):
    shell.reach(state)
    effects = shell.op(9, data)
    delay_s, dial = shell.wait_until_dial()
    shell.connected()

    assert (closed(effects), shell.machine.session, dial.url) == ([4000], None, GENERIC)
    assert 1.0 <= delay_s <= 5.0
    assert shell.hello() == [RequestPermit()]


@pytest.mark.parametrize("state", ["resuming", "live"])
def test_op_9_true_resumes_on_another_connection_after_a_wait(shell, state):
    shell.reach(state)
    effects = shell.op(9, data=True)
    delay_s, dial = shell.wait_until_dial()

    assert (closed(effects), dial.url, forgotten(effects)) == ([4000], RESUME, False)
    assert 1.0 <= delay_s <= 5.0


def test_op_9_true_after_identify_has_nothing_to_resume(shell):
    shell.to_identifying()
    shell.op(9, data=True)
    shell.wait_until_dial()
    shell.connected()

    assert shell.hello() == [RequestPermit()]


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1012, 3000, 4000, 4001, 4002, 4005, 4008, 4015, 4999])
def test_a_close_that_is_worth_a_resume(shell, code):
    shell.to_live()
    effects = shell.lost(code)
    url = resume_once(shell)

    assert (closed(effects), url, sent(shell.effects)[-1][0]) == ([], RESUME, 6)


@pytest.mark.parametrize("code", [4003, 4006, 4007, 4009])
def test_a_close_that_wants_a_new_session(shell, code):
    shell.to_live()
    effects = shell.lost(code)
    shell.wait_until_dial()
    shell.connected()

    assert (forgotten(effects), shell.hello()) == (True, [RequestPermit()])


@pytest.mark.parametrize("state", ["hello_wait", "permit_wait", "identifying", "resuming", "live"])
@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
def test_a_fatal_close_stops_for_good_and_says_what_to_do(shell, state, code):
    shell.reach(state)

    effects = shell.lost(code)

    assert effects[-1] == Stopped(code, FATAL_CLOSE_MEANINGS[code])
    assert (shell.machine.state, shell.wait(10_000)) == ("stopped", [])


def test_a_stopped_shard_starts_again_when_a_person_says_so(shell):
    shell.reach("stopped")

    shell.start()

    assert shell.machine.state == "dialing"


@pytest.mark.parametrize("code", [4001, 4002, 4005, 4008])
def test_a_close_that_is_our_fault_raises_an_alarm(shell, code):
    shell.to_live()

    assert noted(shell.lost(code))[0] == "close.alarming"


@pytest.mark.parametrize("code", [4005, 4015])
def test_the_same_suspect_close_in_the_resume_wants_a_new_session(shell, code):
    shell.to_live()
    shell.lost(code)
    resume_once(shell)

    assert forgotten(shell.lost(code))


def test_after_4008_the_dial_waits_five_seconds(shell):
    shell.to_live()
    shell.lost(4008)

    assert shell.wait_until_dial()[0] >= 5.0


def test_a_replay_of_noise_does_not_loop_for_ever(shell):
    shell.to_live()
    shell.machine.published(1)
    shell.receive(b"{broken")
    for _ in range(3):
        resume_once(shell)
        effects = [*shell.receive(b"{broken"), *shell.wait(RESUME_STALL_S)]

    assert forgotten(effects)


def test_a_resume_that_the_send_limit_forbids_is_tried_on_another_connection(shell):
    shell.to_live()
    shell.lost()
    shell.wait_until_dial()
    shell.connected()
    while shell.machine._wire.limiter.take_vital(shell.now):
        pass

    assert (endings(shell.hello())[0]["cause"], shell.machine.resumable) == ("send_limit", True)


def test_a_replay_that_never_begins_is_given_up_although_heartbeats_are_acked(make_shell, stored_session):
    shell = make_shell(session=stored_session)
    shell.to_hello()
    shell.hello()

    effects = []
    for _ in range(4):
        effects += shell.wait(20)
        effects += shell.op(11)

    assert [ending["cause"] for ending in endings(effects)] == ["timeout"]
