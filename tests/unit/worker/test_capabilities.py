from types import SimpleNamespace

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.worker.capabilities import Need, check_needs, has_quorum_queues, needs_of_queue

RABBITMQ = SimpleNamespace(transport=SimpleNamespace(driver_type="amqp", driver_name="py-amqp"))
REDIS = SimpleNamespace(transport=SimpleNamespace(driver_type="redis", driver_name="redis"))


@pytest.mark.parametrize(("connection", "answer"), [(RABBITMQ, True), (REDIS, False)])
def test_rabbitmq_alone_has_quorum_queues(connection, answer):
    assert has_quorum_queues(connection) is answer


def test_what_the_broker_lacks_is_refused_with_a_sentence_each():
    with pytest.raises(ConfigurationError) as refused:
        check_needs(REDIS, [("a", Need.SINGLE_ACTIVE_CONSUMER), ("b", Need.SINGLE_ACTIVE_CONSUMER)])

    assert refused.value.faults == (
        "a needs queues with a single active consumer, which redis does not have; use RabbitMQ",
        "b needs queues with a single active consumer, which redis does not have; use RabbitMQ",
    )


@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        (None, []),
        ({"x-queue-type": "classic", "x-max-length": 5}, []),
        ({"x-queue-type": "quorum", "x-delivery-limit": 3}, [Need.QUORUM, Need.DELIVERY_LIMIT]),
        ({"x-single-active-consumer": True}, [Need.SINGLE_ACTIVE_CONSUMER]),
    ],
)
def test_a_users_own_queue_needs_what_its_arguments_ask_for(arguments, needs):
    assert needs_of_queue("mine", arguments) == [("the queue 'mine'", need) for need in needs]


@pytest.mark.parametrize(("connection", "needs"), [(RABBITMQ, [("a", Need.SINGLE_ACTIVE_CONSUMER)]), (REDIS, [])])
def test_what_the_broker_has_is_accepted(connection, needs):
    check_needs(connection, needs)
