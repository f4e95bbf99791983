"""Fixtures that every test may use."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The same examples in every run, and no deadline: that would be a statement about speed. To look for new ones:
# `./run test tests/unit --hypothesis-profile=search`.
settings.register_profile("repeat", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile("repeat")

pytest_plugins = ["tests.support.brokers"]


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
