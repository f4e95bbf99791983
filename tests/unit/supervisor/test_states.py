import pytest

from gateway_service.supervisor.states import (
    STATE_MEANINGS,
    TRANSITIONS,
    ProcessState,
    ProcessTrigger,
    advance,
)

S, T = ProcessState, ProcessTrigger


@pytest.mark.parametrize(
    ("triggers", "end"),
    [
        ([T.SPAWN, T.ANSWER, T.STOP, T.EXIT], S.STOPPED),
        ([T.SPAWN, T.STOP, T.EXIT], S.STOPPED),
        ([T.SPAWN, T.EXIT], S.BACKOFF),
        ([T.SPAWN, T.EXIT, T.SPAWN, T.ANSWER, T.EXIT], S.EXITED),
        ([T.SPAWN, T.ANSWER, T.EXIT, T.STOP], S.STOPPED),
        ([T.SPAWN, T.EXIT, T.STOP], S.STOPPED),
        ([T.SPAWN, T.EXIT, T.GIVE_UP, T.STOP], S.FATAL),
        ([T.SPAWN, T.ANSWER, T.EXIT, T.GIVE_UP], S.FATAL),
        ([T.STOP], S.STOPPED),
    ],
)
def test_a_life(triggers, end):
    state = S.STOPPED
    for trigger in triggers:
        state = advance(state, trigger)

    assert state is end


@pytest.mark.parametrize(("state", "trigger"), [(S.RUNNING, T.SPAWN), (S.FATAL, T.SPAWN), (S.RUNNING, T.GIVE_UP)])
def test_a_pair_that_is_not_in_the_table_is_a_fault(state, trigger):
    with pytest.raises(AssertionError, match=f"{trigger} while {state}"):
        advance(state, trigger)


@pytest.mark.parametrize("state", S)
def test_every_state_can_be_stopped(state):
    assert (state, T.STOP) in TRANSITIONS


@pytest.mark.parametrize("state", [state for state in S if state is not S.STOPPED])
def test_every_state_can_be_reached(state):
    assert state in TRANSITIONS.values()


@pytest.mark.parametrize("state", S)
def test_every_state_has_a_meaning(state):
    assert STATE_MEANINGS[state]
