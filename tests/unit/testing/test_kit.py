import json

import pytest
from celery import Celery
from celery.exceptions import Ignore, Reject

from gateway_service.events import EVENTS
from gateway_service.simulator.payloads import GENERATED_EVENTS
from gateway_service.testing import dispatch_fixture
from gateway_service.worker import Gateway

made = []


@pytest.fixture(scope="module")
def handlers():
    """Handlers of an application that no other test knows."""
    group = Gateway(Celery("kit", set_as_current=False))

    @group.on("MESSAGE_CREATE", name="testing.acting", bind=True, max_retries=2)
    def acting(self, message, dispatch):
        made.append((self.request.id, self.request.retries))
        match message["content"]:
            case "retry once" if not self.request.retries:
                raise self.retry(countdown=1.5)
            case "retry for ever":
                raise self.retry(countdown=7)
            case "fail":
                raise ValueError("as it was told")
            case "ignore":
                raise Ignore
            case "reject":
                raise Reject(requeue=False)
        message.clear()
        return dispatch.event

    @group.on("MESSAGE_CREATE", name="testing.only_once", once=True)
    def only_once(message, _dispatch):
        return message["id"]

    return acting, only_once


@pytest.fixture
def acting(handlers):
    made.clear()
    return handlers[0]


def test_a_handler_runs_and_leaves_the_payload_as_it_was(run_handler, acting):
    message, dispatch = dispatch_fixture("MESSAGE_CREATE", content="hi")

    run = run_handler(acting, message, dispatch)

    assert (run.state, run.result, run.retries, message["content"]) == ("SUCCESS", "MESSAGE_CREATE", 0, "hi")
    assert made == [(f"{dispatch.id}.default.testing.acting", 0)]


@pytest.mark.parametrize(
    ("content", "state", "countdowns"),
    [
        ("retry once", "SUCCESS", [1.5]),
        ("retry for ever", "FAILURE", [7, 7]),
        ("fail", "FAILURE", []),
        ("ignore", "IGNORED", []),
        ("reject", "REJECTED", []),
    ],
)
def test_how_a_handler_ends_is_seen(run_handler, acting, content, state, countdowns):
    run = run_handler(acting, *dispatch_fixture("MESSAGE_CREATE", content=content))

    assert (run.state, run.countdowns) == (state, countdowns)
    assert [retries for _, retries in made] == list(range(len(countdowns) + 1))


def test_a_handler_runs_once_for_each_dispatch(run_handler, handlers):
    _, only_once = handlers
    first, second = dispatch_fixture("MESSAGE_CREATE"), dispatch_fixture("MESSAGE_CREATE")

    states = [run_handler(only_once, *dispatch).state for dispatch in (first, first, second)]

    assert states == ["SUCCESS", "IGNORED", "SUCCESS"]


@pytest.mark.parametrize("event", sorted({*GENERATED_EVENTS, "GUILD_CREATE"}))
def test_dispatches_are_those_of_their_event(event):
    payload, dispatch = dispatch_fixture(event)

    assert EVENTS[event].__required_keys__ <= payload.keys()
    assert dispatch.event == event
    assert dispatch.guild_id is not None
    assert json.loads(json.dumps(payload)) == payload


def test_a_direct_message_has_no_guild():
    message, dispatch = dispatch_fixture("MESSAGE_CREATE", guild_id=None)

    assert (message.get("guild_id"), dispatch.guild_id) == (None, None)


def test_no_two_dispatches_are_the_same():
    (one, first), (another, second) = (dispatch_fixture("MESSAGE_CREATE") for _ in range(2))

    assert one["id"] != another["id"]
    assert first.id != second.id


def test_an_event_without_payload_is_named():
    with pytest.raises(ValueError, match="no payload of TYPO_CREATE is known; known are GUILD_CREATE, "):
        dispatch_fixture("TYPO_CREATE")
