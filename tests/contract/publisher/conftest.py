from collections.abc import Iterator

import pytest
from kombu.transport import memory

from tests.support.publishing import KombuSubject, MemorySubject, Subject


@pytest.fixture(params=["amqp", "redis", "kombu", "memory"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Each kind of broker that a link exists for."""
    match request.param:
        case "amqp":
            yield _amqp(request)
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
    return _amqp(request) if request.param == "amqp" else _redis(request)


def _amqp(request: pytest.FixtureRequest) -> Subject:
    return KombuSubject(
        request.getfixturevalue("rabbitmq_url"), request.getfixturevalue("rabbitmq"), queue_type="quorum"
    )


def _redis(request: pytest.FixtureRequest) -> Subject:
    return KombuSubject(request.getfixturevalue("valkey_url"), request.getfixturevalue("valkey"))
