from collections.abc import Iterator

import pytest
from kombu.transport import memory

from gateway_service.contract import UNROUTED_QUEUE
from gateway_service.embedded import PrivateRabbitMQ
from tests.support.brokers import VhostPool
from tests.support.connection import connection_to
from tests.support.publishing import KombuSubject, MemorySubject, Subject


@pytest.fixture(scope="module")
def module_url(rabbitmq: PrivateRabbitMQ, rabbitmq_vhosts: VhostPool) -> str:
    """The URL of a virtual host of this module alone: making one takes longer than most of its tests."""
    rabbitmq.start()
    return rabbitmq_vhosts.take()


@pytest.fixture(params=["amqp", "redis", "kombu", "memory"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Each kind of broker that a link exists for."""
    match request.param:
        case "amqp":
            rabbitmq, url = (request.getfixturevalue(name) for name in ("rabbitmq", "module_url"))
            amqp = KombuSubject(url, rabbitmq, queue_type="quorum")
            yield amqp
            with connection_to(url) as connection:
                for queue in (*amqp.bound, UNROUTED_QUEUE):
                    connection.default_channel.queue_delete(queue)
        case "redis":
            yield _redis(request)
        case "kombu":
            memory.Transport.global_state.clear()
            memory.Channel.queues.clear()
            yield KombuSubject("memory://")
            memory.Channel.queues.clear()
        case _:
            yield MemorySubject()


@pytest.fixture(params=["amqp", "redis"])
def server(request: pytest.FixtureRequest) -> Subject:
    """Brokers that are servers, so that they can be killed and frozen."""
    if request.param == "redis":
        return _redis(request)
    return KombuSubject(
        request.getfixturevalue("rabbitmq_url"), request.getfixturevalue("rabbitmq"), queue_type="quorum"
    )


def _redis(request: pytest.FixtureRequest) -> Subject:
    return KombuSubject(request.getfixturevalue("valkey_url"), request.getfixturevalue("valkey"))
