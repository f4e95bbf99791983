import logging
from types import SimpleNamespace

import pytest

from gateway_service.contract import DEAD_QUEUE
from gateway_service.worker.redeliveries import GIVEN_OUT_TOO_OFTEN, MAX_REDELIVERIES, counting, is_second_hand

LOG = logging.getLogger("test")
QUEUE = "default.A"


class Given:
    """A message that a broker gave out, and what became of it."""

    def __init__(self, **headers):
        self.headers = {"id": "s-1", "redelivered": True, **headers}
        self.body = b"[[1],{},{}]"
        self.content_type, self.content_encoding = "application/json", "utf-8"
        self.delivery_info = {"exchange": "", "routing_key": QUEUE, "redelivered": True}
        self.settled = []

    def acknowledge(self, _logger, _errors):
        self.settled.append("acknowledged")

    def reject(self, _logger, _errors, _requeue):
        self.settled.append("rejected")


def reject(app, given, *, requeue):
    counting(app, given, given.acknowledge, given.reject)(LOG, (), requeue)


def next_of(app, queue):
    with app.connection_for_read() as connection:
        return connection.default_channel.basic_get(queue, no_ack=True)


@pytest.fixture(autouse=True)
def _queues(app):
    with app.connection_for_write() as connection:
        for queue in (QUEUE, DEAD_QUEUE):
            connection.default_channel.queue_declare(queue)
            connection.default_channel.queue_purge(queue)


@pytest.mark.parametrize(("before", "after"), [({}, 1), ({"redeliveries": 2}, 3)])
def test_a_message_is_given_out_again_with_one_delivery_more(app, before, after):
    given = Given(**before)

    reject(app, given, requeue=True)

    again = next_of(app, QUEUE)
    assert (again.headers, again.body) == ({"id": "s-1", "redeliveries": after}, given.body)
    assert given.settled == ["acknowledged"]


def test_after_the_last_delivery_it_is_dead(app):
    given = Given(redeliveries=MAX_REDELIVERIES)

    reject(app, given, requeue=True)

    assert next_of(app, QUEUE) is None
    assert next_of(app, DEAD_QUEUE).headers["reason"] == GIVEN_OUT_TOO_OFTEN
    assert given.settled == ["acknowledged"]


def test_what_shall_not_come_again_is_dead_at_once(app):
    given = Given(reason="its body is not JSON")

    reject(app, given, requeue=False)

    assert next_of(app, DEAD_QUEUE).headers["reason"] == "its body is not JSON"


def test_a_message_that_was_given_out_before_is_known():
    assert is_second_hand(Given())
    assert not is_second_hand(SimpleNamespace(delivery_info={"routing_key": QUEUE}))
