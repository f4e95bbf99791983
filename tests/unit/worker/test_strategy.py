"""What a message goes through before its handlers: how old it may be, and what its second delivery means."""

import time
from types import SimpleNamespace

import pytest

from gateway_service.worker.ages import Ages
from gateway_service.worker.strategy import EventTask, measuring, splitting, within_ttl


class Settled(list):
    """Notes who got a message: its handlers, or nobody any more."""

    def handle(self, message, _body, _ack, _reject, _callbacks):
        self.append(("handled", message.headers["id"]))

    def acknowledge(self, *_arguments):
        self.append("acknowledged")

    def reject(self, *_arguments):
        self.append("rejected")


@pytest.fixture
def settled():
    return Settled()


def message(age_s=0.0, **delivery_info):
    return SimpleNamespace(headers={"id": "1", "received_at": time.time() - age_s}, delivery_info=delivery_info)


@pytest.mark.parametrize(("age_s", "outcome"), [(0.0, ("handled", "1")), (60.0, "acknowledged")])
def test_what_is_older_than_its_route_allows_is_let_go(settled, age_s, outcome):
    receive = within_ttl(30.0, settled.handle)

    receive(message(age_s), None, settled.acknowledge, settled.reject, None)

    assert settled == [outcome]


def test_a_message_that_does_not_tell_its_age_is_handled(settled):
    odd = SimpleNamespace(headers={"id": "1", "received_at": None})

    within_ttl(30.0, settled.handle)(odd, None, settled.acknowledge, settled.reject, None)

    assert settled == [("handled", "1")]


def test_the_age_of_what_is_taken_is_noted(settled):
    ages = Ages()

    measuring(ages, settled.handle)(message(30.0), None, settled.acknowledge, settled.reject, None)

    assert settled == [("handled", "1")]
    assert (ages.count, ages.sum_s) == (1, pytest.approx(30.0, abs=5.0))


def task_of(*handlers):
    return EventTask("gateway.A", "default", "default.A", handlers)


def test_a_first_delivery_runs_from_one_message(settled):
    receive = splitting(task_of("a", "b"), None, settled.handle)

    receive(message(redelivered=False), None, settled.acknowledge, settled.reject, None)

    assert settled == [("handled", "1")]


def test_the_only_handler_of_an_event_takes_a_second_delivery_with_it(settled):
    receive = splitting(task_of("a"), None, settled.handle)

    receive(message(redelivered=True), None, settled.acknowledge, settled.reject, None)

    assert settled == [("handled", "1")]


def test_a_second_delivery_is_divided_among_the_handlers(settled):
    sent = []
    shared = message(redelivered=True)
    receive = splitting(task_of("a", "b"), lambda what, headers: sent.append((what, headers)), settled.handle)

    receive(shared, None, settled.acknowledge, settled.reject, None)

    assert [(what is shared, headers["task"], headers["id"], headers["queue"]) for what, headers in sent] == [
        (True, "a", "1.default.a", "default.A"),
        (True, "b", "1.default.b", "default.A"),
    ]
    assert settled == ["acknowledged"]


def test_what_cannot_be_divided_is_run_as_it_is(settled):
    def refuse(_message, _headers):
        raise ConnectionError("gone")

    receive = splitting(task_of("a", "b"), refuse, settled.handle)

    receive(message(redelivered=True), None, settled.acknowledge, settled.reject, None)

    assert settled == [("handled", "1")]
