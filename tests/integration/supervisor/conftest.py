import sys

import pytest

from gateway_service.settings import GatewayOptions
from gateway_service.supervisor import Policy, Supervisor
from tests.support.stand_ins import STAND_IN, Journal, accept

# Everything faster than in production; what a busy machine could be late for has a wide margin.
QUICK = {
    "first_backoff_s": 0.01,
    "max_backoff_s": 0.05,
    "ping_interval_s": 0.1,
    "max_unanswered_pings": 100,
    "drain_timeout_s": 1.0,
    "kill_after_s": 15.0,
}


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def options(tmp_path):
    def build(**changes):
        defaults = {
            "token": "secret-token-of-a-bot",
            "url": "ws://127.0.0.1:9",
            "shard_count": 2,
            "processes": 1,
            "broker_url": "amqp://guest:secret-password@127.0.0.1:9//",
            "state_url": f"sqlite:///{tmp_path}/state.db",
        }
        return GatewayOptions(**{**defaults, **changes})

    return build


@pytest.fixture
def connect_to(options, valkey_url, tmp_path):
    """Return a function that builds a supervisor of real shard processes for a simulator."""

    def build(simulator, *, policy=None, **changes):
        return Supervisor(
            options(
                **{
                    "url": None,
                    "api_url": simulator.api_url,
                    "token": simulator.token,
                    "broker_url": valkey_url,
                    "intents": "all",
                    "shard_count": "auto",
                    "spool_dir": tmp_path / "spool",
                    **changes,
                }
            ),
            policy=Policy(**{**QUICK, **(policy or {})}),
            connect_broker=accept,
        )

    return build


@pytest.fixture
def supervise(options, journal):
    """Return a function that builds a supervisor of stand-ins."""

    def build(*behaviour, policy=None, **changes):
        return Supervisor(
            options(**changes),
            policy=Policy(**{**QUICK, **(policy or {})}),
            command=[sys.executable, "-S", str(STAND_IN), "--journal", str(journal.path), *behaviour],
            connect_broker=accept,
        )

    return build
