import pytest

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.effects import CancelPermit, Close, RequestPermit, Stopped
from tests.support.machine import INTERVAL_S, closed, delivered, forgotten, noted, sent

ALL = [
    "idle",
    "backoff",
    "dialing",
    "hello_wait",
    "permit_wait",
    "identifying",
    "resuming",
    "live",
    "suspended",
    "draining",
    "stopped",
]
OPEN = ["dialing", "hello_wait", "permit_wait", "identifying", "resuming", "live"]


def suspend(shell):
    return shell.perform(shell.machine.suspend(shell.now))


def unsuspend(shell):
    return shell.perform(shell.machine.unsuspend(shell.now))


def drain(shell):
    return shell.perform(shell.machine.drain(shell.now))


def finish(shell, code=4900):
    return shell.perform(shell.machine.finish(code, shell.now))


def restart(shell, *, resume=True):
    return shell.perform(shell.machine.restart(shell.now, resume=resume))


@pytest.mark.parametrize("state", OPEN)
def test_suspend_closes_resumably_and_dials_no_more(shell, state):
    shell.reach(state)

    effects = suspend(shell)

    assert (closed(effects), shell.machine.state, shell.wait(10_000)) == ([4000], "suspended", [])


def test_suspend_gives_a_permit_back(shell):
    shell.to_permit_wait()

    assert CancelPermit() in suspend(shell)


def test_unsuspend_resumes_within_two_seconds(shell, rng):
    rng.value = 0.999
    shell.to_live()
    suspend(shell)
    shell.wait(500)
    unsuspend(shell)

    delay_s, dial = shell.wait_until_dial()

    assert (delay_s < 2.0, dial.url.startswith("wss://resume")) == (True, True)


def test_a_suspension_does_not_cut_a_backoff_short(shell, rng):
    shell.to_identifying()
    rng.value = 1.0
    shell.op(9, data=False)
    suspend(shell)
    rng.value = 0.0
    unsuspend(shell)

    assert shell.wait_until_dial()[0] == 5.0


def test_a_suspended_replay_is_no_failed_resume(shell):
    shell.to_live()
    shell.lost()
    for _ in range(5):
        shell.wait_until_dial()
        shell.connected()
        shell.hello()
        suspend(shell)
        unsuspend(shell)

    assert not forgotten(shell.effects)


@pytest.mark.parametrize("state", ["idle", "suspended", "draining", "stopped"])
def test_suspend_elsewhere_is_ignored(shell, state):
    shell.reach(state)

    assert (noted(suspend(shell)), shell.machine.state) == (["happening.ignored"], state)


def test_unsuspend_elsewhere_is_ignored(shell):
    shell.to_live()

    assert noted(unsuspend(shell)) == ["happening.ignored"]


def test_draining_delivers_nothing_more_and_keeps_beating(shell):
    shell.to_live()
    shell.machine.published(1)
    drain(shell)

    assert delivered(shell.dispatch("MESSAGE_CREATE", {})) == []
    assert sent(shell.wait(INTERVAL_S)) == [(1, 1)]


def test_draining_leaves_unread_dispatches_to_the_resume(shell):
    shell.to_live()
    drain(shell)
    shell.dispatch("MESSAGE_CREATE", {})
    shell.machine.published(1)

    assert shell.machine.session.seq == 1


def test_draining_reads_even_broken_frames_without_a_word(shell):
    shell.to_live()
    drain(shell)

    assert shell.receive(b"\xff") == []


def test_a_connection_lost_while_draining_is_not_replaced(shell):
    shell.to_live()
    drain(shell)
    shell.lost(4004)

    assert (shell.machine.state, shell.wait(1000)) == ("draining", [])


def test_a_zombie_while_draining_is_closed_and_not_replaced(shell):
    shell.to_live()
    drain(shell)

    assert (closed(shell.wait(INTERVAL_S * 2)), shell.machine.state) == ([4000], "draining")


def test_draining_gives_up_a_dial(shell):
    shell.start()

    assert drain(shell) == [Close(4000)]


def test_draining_gives_a_permit_back(shell):
    shell.to_permit_wait()

    assert drain(shell) == [CancelPermit()]


@pytest.mark.parametrize("state", ["idle", "backoff", "suspended"])
def test_draining_without_a_connection_needs_nothing(shell, state):
    shell.reach(state)

    assert (drain(shell), shell.machine.state, shell.wait(1000)) == ([], "draining", [])


def test_a_stopped_shard_does_not_drain(shell):
    shell.reach("stopped")

    assert noted(drain(shell)) == ["happening.ignored"]


@pytest.mark.parametrize("state", [*OPEN, "draining"])
def test_finish_closes_with_the_given_code(shell, state):
    shell.reach(state)

    assert (closed(finish(shell, 4900)), shell.machine.state) == ([4900], "idle")


@pytest.mark.parametrize("state", ["idle", "backoff", "suspended", "stopped"])
def test_finish_without_a_connection_closes_nothing(shell, state):
    shell.reach(state)

    assert (finish(shell), shell.machine.state) == ([], "idle")


def test_finish_with_a_resumable_code_keeps_the_session(shell):
    shell.to_live()
    effects = finish(shell, 4900)

    assert (forgotten(effects), shell.machine.resumable) == (False, True)


@pytest.mark.parametrize("code", [1000, 1001])
def test_finish_with_an_ending_code_forgets_the_session(shell, code):
    shell.to_live()
    effects = finish(shell, code)

    assert (closed(effects), forgotten(effects), shell.machine.resumable) == ([code], True, False)


@pytest.mark.parametrize("code", [0, 999, 1002, 1006, 2999, 5000])
def test_finish_refuses_a_code_that_no_client_can_send(shell, code):
    shell.to_live()

    with pytest.raises(LocalProtocolError, match=str(code)):
        finish(shell, code)


def test_a_finished_shard_can_start_again_and_resumes(shell):
    shell.to_live()
    finish(shell, 4900)

    assert shell.start()[0].url.startswith("wss://resume")


def test_finish_gives_a_permit_back(shell):
    shell.to_permit_wait()

    assert CancelPermit() in finish(shell)


@pytest.mark.parametrize("state", OPEN)
def test_a_restart_closes_resumably_and_dials_at_once(shell, state):
    shell.reach(state)
    effects = restart(shell)

    assert (closed(effects), shell.wait_until_dial()[0]) == ([4000], 0.0)


def test_a_restart_ends_a_backoff(shell):
    shell.reach("backoff")
    effects = restart(shell)

    assert (closed(effects), shell.wait_until_dial()[0]) == ([], 0.0)


def test_a_restart_keeps_the_session(shell):
    shell.to_live()
    restart(shell)
    shell.wait_until_dial()
    shell.connected()

    assert [op for op, _ in sent(shell.hello())] == [6]


def test_a_restart_with_a_new_session_ends_the_old_one_and_asks_for_a_permit(shell):
    shell.to_live()
    shell.wait(15)
    effects = restart(shell, resume=False)
    delay_s, _ = shell.wait_until_dial()
    shell.connected()

    assert (closed(effects), forgotten(effects), delay_s) == ([1000], True, 0.0)
    assert shell.hello() == [RequestPermit()]


@pytest.mark.parametrize("state", OPEN)
def test_a_restart_with_a_new_session_never_resumes(shell, state):
    shell.reach(state)
    effects = restart(shell, resume=False)
    shell.wait_until_dial()
    shell.connected()

    assert (closed(effects), shell.hello()) == ([1000], [RequestPermit()])


def test_a_suspended_shard_waits_on_and_keeps_its_session_or_not(shell):
    shell.reach("suspended")
    kept = restart(shell)
    left = restart(shell, resume=False)

    assert (kept, forgotten(left), shell.machine.state) == ([], True, "suspended")
    assert shell.wait(10_000) == []


def test_a_shard_that_was_not_started_waits_for_its_start(shell):
    assert (restart(shell), restart(shell, resume=False), shell.machine.state) == ([], [], "idle")


@pytest.mark.parametrize("state", ["draining", "stopped"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_restart_of_a_shard_that_ends_is_ignored(shell, state, resume):
    shell.reach(state)

    assert (noted(restart(shell, resume=resume)), shell.machine.state) == (["happening.ignored"], state)


@pytest.mark.parametrize("state", ALL)
def test_no_state_spins_on_its_timers(shell, state):
    shell.reach(state)

    assert len(shell.wait(INTERVAL_S * 2)) < 60


def test_stopped_tells_its_code_once(shell):
    shell.reach("stopped")
    shell.wait(1000)

    assert [effect.code for effect in shell.of(Stopped)] == [4004]
