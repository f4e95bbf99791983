"""A real ``celery -A gateway_service flower`` as a child process, and a headless Chromium to look at it."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.secrecy import MARK, seen
from tests.support.waiting import TIMEOUT_S, wait_until
from tests.support.worker import ROOT, celery_command, worker_environment

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS_VARIABLE = "TEST_SCREENSHOTS"
"""A folder that keeps the pictures of a test run."""
CREDENTIALS = ("operator", f"password-of-flower-{MARK}")
BASIC_AUTH = "--basic_auth={}:{}".format(*CREDENTIALS)
OUR_ACTION: Final[Mapping[str, Any]] = {"headers": {"Sec-Fetch-Site": "same-origin"}, "auth": CREDENTIALS}
"""What the page sends with each action."""


class FlowerProcess:
    """One Flower and where it listens."""

    def __init__(self, broker_url: str, directory: Path, *options: str, **variables: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        prefix = next((option.partition("=")[2] for option in options if option.startswith("--url_prefix")), "")
        self.url = f"http://127.0.0.1:{port}" + (f"/{prefix}" if prefix else "")
        self._log = directory / f"flower-{port}.log"
        command = celery_command("flower", "--address=127.0.0.1", f"--port={port}", *options)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=worker_environment(broker_url, "tasks") | variables,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = httpx.request(method, self.url + path, timeout=TIMEOUT_S, trust_env=False, **arguments)
        seen(f"{response.headers}\n{response.text}")
        return response

    def wait_until_up(self) -> None:
        wait_until(lambda: self.process.poll() is not None or self._answers())
        assert self.process.poll() is None, self.log

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/shards/static/shards.css").status_code in {200, 404}
        except httpx.TransportError:
            return False


@contextmanager
def running_flower(broker_url: str, directory: Path, *options: str, **variables: str) -> Iterator[FlowerProcess]:
    flower = FlowerProcess(broker_url, directory, *options, **variables)
    try:
        flower.wait_until_up()
        yield flower
    finally:
        flower.process.kill()  # it holds nothing that a slow goodbye would save
        flower.process.wait()


def oldest_flower(directory: Path) -> Path:
    """Install the oldest Flower that we say we work with, and nothing else, where PYTHONPATH can put it first."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".tools" / "bin"))
    if uv is None:
        pytest.skip("uv is not installed")
    wanted = ["--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements" / "flower-oldest.txt")]
    done = subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(directory), *wanted],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the oldest Flower cannot be had: {done.stderr.splitlines()[-1]}")
    return directory


def take_picture(page: Any, name: str, **options: Any) -> None:
    """Take a picture for people where they want one: rendering it costs more than the rest of a test."""
    if folder := os.environ.get(SCREENSHOTS_VARIABLE):
        page.screenshot(path=Path(folder) / f"{name}.png", **options)


@contextmanager
def running_browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
