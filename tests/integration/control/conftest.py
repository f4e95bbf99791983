from contextlib import ExitStack

import pytest
import redis

from gateway_service.cli.main import run
from gateway_service.embedded import PrivateValkey, find_valkey_server
from gateway_service.worker.calls import GatewayCalls
from tests.support.connection import application_on
from tests.support.control_stack import running_stack
from tests.support.flower import BASIC_AUTH, running_flower
from tests.support.secrecy import MARK, seen

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


@pytest.fixture(scope="session")
def flowers(tmp_path_factory):
    """Return a function that starts a Flower on a broker, once."""
    with ExitStack() as running:
        started = {}

        def flower_on(broker_url):
            if broker_url not in started:
                folder = tmp_path_factory.mktemp("flower")
                started[broker_url] = running.enter_context(running_flower(broker_url, folder, BASIC_AUTH))
            return started[broker_url]

        yield flower_on


@pytest.fixture
def cli(stack, monkeypatch, capsys):
    """Return a function that runs a command against the first service and returns exit code, output and errors."""
    monkeypatch.setenv("GATEWAY_CONTROL_ADDRESS", f"127.0.0.1:{stack.services[0].control_port()}")
    monkeypatch.setenv("GATEWAY_CONTROL_TOKENS_FILE", str(stack.tokens))
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments):
        code = run(arguments)
        printed = capsys.readouterr()
        seen(printed.out + printed.err)
        return code, printed.out, printed.err

    return command


@pytest.fixture(scope="module")
def calls(stack):
    """Return what tasks call."""
    with application_on(stack.broker_url) as app:
        yield GatewayCalls(lambda: app)
