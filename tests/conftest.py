"""Fixtures that every test may use."""

import logging
from collections.abc import Iterator

import hypothesis
import pytest

pytest_plugins = ["tests.support.brokers"]

# Hypothesis fails a test over an example that takes 200 ms, or is made slowly: on a busy machine any does.
hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos", "tests/acceptance/chaos")
    chaos.addoption("--chaos-minutes", type=float, default=0.0, help="How long; 0 meets every trouble once.")
    chaos.addoption("--chaos-seed", type=int, default=1, help="Decides which trouble strikes when.")
    chaos.addoption("--outage-seconds", type=float, default=10.0, help="How long the broker is away.")
    chaos.addoption("--chaos-rate", type=float, default=500.0, help="Dispatches per second.")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a command run inside the test process did to logging."""
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
