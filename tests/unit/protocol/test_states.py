import pytest

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.states import (
    STATE_MEANINGS,
    TRANSITIONS,
    TRIGGER_MEANINGS,
    State,
    Trigger,
    advance,
    can_advance,
)


def test_a_pair_in_the_table_leads_to_its_state():
    assert advance(State.RESUMING, Trigger.RESUMED) is State.LIVE


def test_a_missing_pair_is_an_error_and_never_a_default():
    with pytest.raises(LocalProtocolError, match="ready while idle"):
        advance(State.IDLE, Trigger.READY)


def test_every_state_can_be_reached():
    assert set(TRANSITIONS.values()) == set(State)


def test_every_state_can_be_left():
    assert {state for state, _ in TRANSITIONS} == set(State)


def test_every_state_and_trigger_is_explained():
    assert (set(STATE_MEANINGS), set(TRIGGER_MEANINGS)) == (set(State), set(Trigger))


def test_every_trigger_is_used():
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_finish(state):
    assert advance(state, Trigger.FINISH) is State.IDLE


@pytest.mark.parametrize("state", list(State))
def test_only_a_granted_permit_leads_to_identifying(state):
    ways = {trigger for trigger in Trigger if can_advance(state, trigger) and advance(state, trigger) == "identifying"}
    assert ways <= {Trigger.PERMIT_GRANTED}


@pytest.mark.parametrize("trigger", [trigger for trigger in Trigger if trigger not in (Trigger.START, Trigger.FINISH)])
def test_stopped_is_left_by_a_person_only(trigger):
    assert not can_advance(State.STOPPED, trigger)
