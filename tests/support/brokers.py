"""Private brokers for tests: one of each per test session, isolation by virtual host or database.

A plugin of ``tests/conftest.py``: never import the fixtures, each import would start brokers of its own.
"""

from collections.abc import Iterator
from itertools import count

import pytest
import redis

from gateway_service.embedded import PrivateRabbitMQ, PrivateValkey, find_rabbitmq, find_valkey_server
from tests.support.connection import connection_to

_VHOSTS_AT_ONCE = 16  # rabbitmqctl takes a second however many it creates


class VhostPool:
    """Fresh virtual hosts of one RabbitMQ, made in batches."""

    def __init__(self, broker: PrivateRabbitMQ) -> None:
        self._broker = broker
        self._numbers = count()
        self._fresh: list[str] = []

    def take(self) -> str:
        """Return the URL of a virtual host that nobody has used."""
        if not self._fresh:
            names = [f"test-{next(self._numbers)}" for _ in range(_VHOSTS_AT_ONCE)]
            self._broker.add_vhosts(names)
            self._fresh = names
        url = self._broker.url_of(self._fresh.pop(0))
        # A virtual host begins to answer some time after it was made.
        with connection_to(url) as connection:
            connection.connect()
        return url


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[PrivateRabbitMQ]:
    """A running RabbitMQ; a test that stops, kills or freezes it must start or thaw it again."""
    if find_rabbitmq() is None:
        pytest.skip("no RabbitMQ server is installed on this machine")
    with PrivateRabbitMQ() as broker:
        yield broker


@pytest.fixture(scope="session")
def rabbitmq_vhosts(rabbitmq: PrivateRabbitMQ) -> VhostPool:
    return VhostPool(rabbitmq)


@pytest.fixture
def rabbitmq_url(rabbitmq: PrivateRabbitMQ, rabbitmq_vhosts: VhostPool) -> str:
    """The URL of a virtual host of this test alone."""
    rabbitmq.start()
    return rabbitmq_vhosts.take()


@pytest.fixture(scope="session")
def valkey() -> Iterator[PrivateValkey]:
    """A running Valkey or Redis; a test that stops, kills or freezes it must start or thaw it again."""
    if find_valkey_server() is None:
        pytest.skip("no Valkey or Redis server is installed on this machine")
    with PrivateValkey() as broker:
        yield broker


@pytest.fixture
def valkey_url(valkey: PrivateValkey) -> Iterator[str]:
    """The URL of an empty database; it is emptied again afterwards."""
    valkey.start()
    valkey.flush()
    yield valkey.url
    valkey.start()
    valkey.flush()


@pytest.fixture
def evicting_url(valkey_url: str) -> Iterator[str]:
    """The URL of an empty database of a server that drops keys when its memory is full."""
    with redis.Redis.from_url(valkey_url) as server:
        server.config_set("maxmemory-policy", "volatile-ttl")
        server.config_set("maxmemory", "100mb")
        yield valkey_url
        server.config_set("maxmemory", "0")
        server.config_set("maxmemory-policy", "noeviction")
