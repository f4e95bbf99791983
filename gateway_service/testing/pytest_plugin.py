"""The fixture ``run_handler`` for any project's tests; imports nothing until it is used."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gateway_service.testing.handlers import HandlerRun


@pytest.fixture
def run_handler(tmp_path: Path) -> "Callable[..., HandlerRun]":
    """Runs a handler without a broker, as :func:`gateway_service.testing.run_handler` does.

    ``run = run_handler(greet, *dispatch_fixture("MESSAGE_CREATE", content="!ping"))``

    What handlers with ``once=True`` note is of this test alone.
    """
    from gateway_service.testing.handlers import run_handler as run

    return partial(run, once_url=f"sqlite:///{tmp_path / 'once.db'}")
