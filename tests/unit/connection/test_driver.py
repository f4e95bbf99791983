import asyncio

import pytest

from gateway_service.connection import Driver
from gateway_service.protocol.machine import Machine


class DeafHost:
    """A host that takes everything and does nothing."""

    def __getattr__(self, _happening):
        return lambda *_: None


async def fail(_url):
    raise RuntimeError("a fault of our own")


async def test_a_fault_while_dialling_ends_the_run_and_does_not_vanish():
    machine = Machine(
        shard_id=0,
        num_shards=1,
        token="a.token",
        intents=0,
        compression="none",
        gateway_url="ws://127.0.0.1",
        rng=lambda: 0.5,
    )

    with pytest.raises(RuntimeError, match="a fault of our own"):
        await asyncio.wait_for(Driver(machine, DeafHost(), fail).run(), 5)
