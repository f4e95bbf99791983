"""Fixtures that every test may use."""

import logging
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.support.brokers"]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a command run inside the test process did to logging."""
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
