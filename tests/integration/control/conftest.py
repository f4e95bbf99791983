from contextlib import ExitStack

import pytest
import redis

from gateway_service.embedded import PrivateValkey, find_valkey_server
from tests.support.control_stack import running_stack
from tests.support.secrecy import MARK

REDIS_PASSWORD = f"password-of-redis-{MARK}"


@pytest.fixture(scope="session")
def stacks(rabbitmq, rabbitmq_vhosts, tmp_path_factory):
    """Return a function that starts eight shards in two supervisors on a broker, once."""
    with ExitStack() as brokers, ExitStack() as running:

        def redis_url():
            """Return the URL of a server of our own: other tests empty theirs. Its password must not be seen."""
            if find_valkey_server() is None:
                pytest.skip("no Valkey or Redis server is installed on this machine")
            broker = brokers.enter_context(PrivateValkey())
            with redis.Redis(port=broker.port) as client:
                client.config_set("requirepass", REDIS_PASSWORD)
            return broker.url.replace("redis://", f"redis://:{REDIS_PASSWORD}@")

        started = {}

        def stack_on(broker):
            if broker not in started:
                rabbitmq.start()
                url = rabbitmq_vhosts.take() if broker == "rabbitmq" else redis_url()
                started[broker] = running.enter_context(running_stack(url, tmp_path_factory.mktemp(broker)))
            return started[broker]

        yield stack_on
        for stack in started.values():
            stack.see_everything()


@pytest.fixture(scope="session", params=["rabbitmq", "redis"])
def stack(request, stacks):
    """The stack of each broker; see ON_ANY_BROKER for tests that need one only."""
    return stacks(request.param)
