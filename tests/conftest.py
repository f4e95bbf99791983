"""Fixtures that every test may use."""

import gc
import logging
import os
from collections.abc import Generator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling, Scheduling

# With fixtures of the whole session, which each process would have for itself.
FOLDERS = ("tests/integration/control/",)

pytest_plugins = ["tests.support.secrecy", "tests.support.brokers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos", "tests/acceptance/chaos")
    chaos.addoption("--chaos-minutes", type=float, default=0.0, help="How long; 0 meets every trouble once.")
    chaos.addoption("--chaos-seed", type=int, default=1, help="Decides which trouble strikes when.")
    chaos.addoption("--outage-seconds", type=float, default=10.0, help="How long the broker is away.")
    chaos.addoption("--chaos-rate", type=float, default=500.0, help="Dispatches per second.")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run all tests side by side, more than there are processors, since most of them wait for programs.

    What somebody asked for by its path runs in one process.
    """
    is_everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return (os.cpu_count() or 1) + 2 if is_everything else 0


class Files(LoadFileScheduling):
    """Gives the tests of a file to one process, and all of a folder that starts its programs once."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in FOLDERS if nodeid.startswith(folder)), super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nothing long is left for one process at the end."""
    items.sort(key=lambda item: (not item.nodeid.startswith(FOLDERS), item.get_closest_marker("slow") is None))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage neither while tests are collected nor, later, among them: all of them live until the end.

    Looking takes a tenth of the processor time of the unit tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Undo what a command run inside the test process did to logging.

    No fixture, because that would take longer than most of the unit tests.
    """
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    try:
        return (yield)
    finally:
        if root.level != level:  # setting it empties the caches of all loggers
            root.setLevel(level)
        root.handlers[:] = handlers
