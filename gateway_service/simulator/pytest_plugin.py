"""The fixture ``discord_simulator`` for any project's tests; imports nothing until it is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gateway_service.simulator.simulator import Simulator


@pytest.fixture
def discord_simulator() -> "Callable[..., Simulator]":
    """Make simulated Discords; the arguments are those of ``SimulatorConfig``.

    ``async with discord_simulator(shards=2, guilds=20) as sim: ...``
    """
    from gateway_service.simulator.config import SimulatorConfig
    from gateway_service.simulator.simulator import Simulator

    def make(**settings: Any) -> Simulator:
        return Simulator(SimulatorConfig(**settings))

    return make
