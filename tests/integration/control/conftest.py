from contextlib import contextmanager

import pytest
import redis

from gateway_service.embedded import PrivateValkey, find_valkey_server
from tests.support.control_stack import running_stack

REDIS_PASSWORD = "password-of-redis-0123456789"


@pytest.fixture(scope="package", params=["rabbitmq", "redis"])
def stack(request, tmp_path_factory):
    """Eight shards in two supervisors, for every test of this folder: first on RabbitMQ, then on Redis.

    What was seen of a stack by all of its tests has no secret in it.
    """
    broker = _rabbitmq(request) if request.param == "rabbitmq" else _redis()
    with broker as url, running_stack(url, tmp_path_factory.mktemp(request.param)) as stack:
        yield stack
        stack.see_everything()
        assert stack.secrets_seen() == []


@contextmanager
def _rabbitmq(request):
    request.getfixturevalue("rabbitmq").start()
    yield request.getfixturevalue("rabbitmq_vhosts").take()


@contextmanager
def _redis():
    """A server of its own, because other tests empty the one they share; with a password that must not be seen."""
    if find_valkey_server() is None:
        pytest.skip("no Valkey or Redis server is installed on this machine")
    with PrivateValkey() as broker:
        with redis.Redis(port=broker.port) as client:
            client.config_set("requirepass", REDIS_PASSWORD)
        yield broker.url.replace("redis://", f"redis://:{REDIS_PASSWORD}@")
