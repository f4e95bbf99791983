"""No secret in anything that a test run shows: logs, replies, pages, metrics, streams, what commands print.

A plugin of ``tests/conftest.py``. What tests get over a connection or a pipe they hand to :func:`seen`; what pytest
captures of a test is searched when the test reads it or ends, and every log file of the run when the run ends. Left
out are files that hold secrets or payloads on purpose: settings, state stores, spools, records of handlers.

Secrets can be recognized: tokens and passwords of tests end in ``not-to-be-seen``, tokens of simulators in
``not-a-secret``, and ids of simulated sessions begin alike. With the token, such an id lets anybody read what the bot
receives. The password in a URL is one whatever it is.
"""

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from gateway_service.simulator.sessions import SESSION_ID_PREFIX

MARK: Final = "not-to-be-seen"
_SECRETS: Final = re.compile(
    rf"{MARK}|\.simulated\.not-a-secret|\b{SESSION_ID_PREFIX}[0-9a-f]{{24}}\b|://[^\s/:@]*:(?!\*+@)[^\s/:@]+@"
)
_AROUND_CHARS: Final = 80
_CAPTURED: Final = ("Captured stdout", "Captured stderr")
"""Of the log, pytest keeps the records: what handlers make of them is on standard error."""


def secrets_in(text: str) -> list[str]:
    """Return each secret with what is around it."""
    return [
        f"...{text[max(0, found.start() - _AROUND_CHARS) : found.end() + _AROUND_CHARS]}..."
        for found in _SECRETS.finditer(text)
    ]


def secrets_below(folder: Path) -> list[str]:
    """Return what is found in the log files below a folder."""
    return [
        f"{path}: {found}"
        for path in sorted(folder.rglob("*.log"))
        if path.is_file()
        for found in secrets_in(path.read_text(errors="replace"))
    ]


def seen(text: str) -> str:
    """Search something that an operator may see; return it."""
    assert secrets_in(text) == []
    return text


class SearchedCapture:
    """``capsys`` of pytest: what a test takes out of it, pytest does not have at the end."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def readouterr(self) -> Any:
        printed = self._capture.readouterr()
        seen(printed.out + printed.err)
        return printed


@pytest.fixture
def capsys(capsys: pytest.CaptureFixture[str]) -> SearchedCapture:
    return SearchedCapture(capsys)


@pytest.fixture(scope="session", autouse=True)
def _nothing_seen_in_a_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The first fixture of a session, so its end comes after every service has ended."""
    yield
    assert secrets_below(tmp_path_factory.getbasetemp()) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that showed a secret."""
    report = yield
    if report.when == "teardown" and report.passed:
        captured: list[tuple[str, Any]] = [each for each in report.sections if each[0].startswith(_CAPTURED)]
        found = [f"{name}: {secret}" for name, text in captured for secret in secrets_in(text)]
        if found:
            report.outcome = "failed"
            report.longrepr = "\n".join(["a secret was seen", *found])
    return report
