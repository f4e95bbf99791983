"""A machine under test, with random numbers as the test wants them."""

from collections.abc import Callable

import pytest

from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.session import Session
from tests.support.machine import Shell


@pytest.fixture
def rng():
    """Random numbers as the test wants them: ``rng.value``."""

    class Rng:
        value = 0.5

        def __call__(self):
            return self.value

    return Rng()


@pytest.fixture
def make_shell(rng) -> Callable[..., Shell]:
    def make(**options):
        defaults = {
            "shard_id": 1,
            "num_shards": 4,
            "token": "t.o.ken",
            "intents": 513,
            "compression": "none",
            "gateway_url": "wss://gateway.discord.gg",
            "rng": rng,
        }
        return Shell(Machine(**{**defaults, **options}), rng)

    return make


@pytest.fixture
def shell(make_shell) -> Shell:
    return make_shell()


@pytest.fixture
def stored_session() -> Session:
    return Session(
        session_id="stored",
        resume_gateway_url="wss://resume.discord.gg",
        seq=41,
        shard_id=1,
        num_shards=4,
        intents=513,
        guilds=GuildSnapshot(awaited=frozenset({7})),
        compression="none",
    )
