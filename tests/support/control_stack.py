"""A bot of eight shards in two supervisors on one broker, operated through their control APIs."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.secrecy import MARK, seen
from tests.support.service import Service, running_service
from tests.support.waiting import TIMEOUT_S, wait_until
from tests.support.worker import ROOT

ON_ANY_BROKER = pytest.mark.parametrize("stack", ["rabbitmq"], indirect=True)
"""For tests of what the broker has no part in: once is enough."""

READ_TOKEN = f"read-token-{MARK}"
CONTROL_TOKEN = f"control-token-{MARK}"
NUM_SHARDS = 8


def _see(response: httpx.Response) -> None:
    response.read()
    seen(f"{response.headers}\n{response.text}")


class BackgroundSimulator:
    """A simulator on an event loop in a thread of its own, for tests that have none."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)
        self.simulator = Simulator(config)

    def __enter__(self) -> Simulator:
        self._thread.start()
        self.run(self.simulator.__aenter__())
        return self.simulator

    def __exit__(self, *_exc: object) -> None:
        self.run(self.simulator.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, coroutine: Any) -> Any:
        """Wait for a coroutine of the simulator."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)

    def call(self, function: Callable[..., Any], **arguments: Any) -> None:
        """Call a function of the simulator in its thread."""

        async def calling() -> None:
            function(**arguments)

        self.run(calling())


class Stack:
    """Both services and a client for each: shards 0 to 3 on the first, 4 to 7 on the second."""

    def __init__(
        self,
        simulator_thread: BackgroundSimulator,
        services: list[Service],
        installed: Path,
        broker_url: str,
        tokens: Path,
    ) -> None:
        self.simulator_thread = simulator_thread
        self.simulator = simulator_thread.simulator
        self.tokens = tokens
        self.services = services
        self.installed = installed
        """Where the code and the settings of the first service are, to be edited."""
        self.broker_url = broker_url
        self.clients = [
            httpx.Client(
                base_url=f"http://127.0.0.1:{service.control_port()}",
                headers={"Authorization": f"Bearer {CONTROL_TOKEN}"},
                timeout=TIMEOUT_S,
                event_hooks={"response": [_see]},
            )
            for service in services
        ]

    def see_everything(self) -> None:
        """Look at the pages that tell most, when all tests have left their traces."""
        for path in ("/metrics", "/readyz", "/openapi.json", "/docs", "/v1/shards", "/v1/processes", "/v1/routes"):
            self.request(f"GET {path}")

    def send(self, arguments: dict[str, Any]) -> httpx.Response:
        """Send a request that is described as those of the library ``requests``."""
        known = {name: arguments.get(name) for name in ("method", "url", "params", "headers", "json")}
        return self.clients[0].request(**known, content=arguments.get("data"))

    def at_once(self, times: int, request_line: str, **arguments: Any) -> list[Any]:
        """Send equal requests together and return their answers."""
        with ThreadPoolExecutor(times) as threads:
            asked = [threads.submit(self.ok, request_line, **arguments) for _ in range(times)]
            return [each.result() for each in asked]

    def request(self, request_line: str, *, service: int = 0, **arguments: Any) -> httpx.Response:
        """Send ``METHOD PATH``."""
        method, _, path = request_line.partition(" ")
        return self.clients[service].request(method, path, **arguments)

    def ok(self, request_line: str, *, service: int = 0, **arguments: Any) -> Any:
        response = self.request(request_line, service=service, **arguments)
        assert response.status_code == 200, response.text
        return response.json()

    def guild_of(self, shard_id: int) -> int:
        return next(g for g in self.simulator.guild_ids if (g >> 22) % NUM_SHARDS == shard_id)

    def wait_until_live(self) -> None:
        for client in self.clients:
            wait_until(lambda client=client: client.get("/readyz").status_code == 200)


def install(directory: Path) -> Path:
    """Return a folder with a copy of the package, a settings file and a presence function."""
    ours = "gateway_service"
    shutil.copytree(ROOT / ours, directory / ours)
    (directory / "gateway.toml").write_text('presence = "presence_of_bot:for_shard"\n')
    (directory / "presence_of_bot.py").write_text("def for_shard(shard_id):\n    return None\n")
    return directory


@contextmanager
def running_stack(broker_url: str, directory: Path) -> Iterator[Stack]:
    tokens = directory / "tokens"
    tokens.write_text(f"# two tokens\ndashboard read {READ_TOKEN}\noperator control {CONTROL_TOKEN}\n")
    config = SimulatorConfig(
        shards=NUM_SHARDS, guilds=32, members_per_guild=2500, max_concurrency=NUM_SHARDS, identify_window_s=0.0
    )
    installed = install(directory / "installed")
    with ExitStack() as stack:
        thread = BackgroundSimulator(config)
        simulator = stack.enter_context(thread)
        services = [
            stack.enter_context(
                running_service(
                    simulator,
                    broker_url,
                    directory / name,
                    f"--shards={shards}",
                    f"--shard-count={NUM_SHARDS}",
                    "--processes=2",
                    "--log-format=json",
                    f"--control-tokens-file={tokens}",
                    working_directory=working_directory,
                )
            )
            for name, shards, working_directory in (("first", "0-3", installed), ("second", "4-7", ROOT))
        ]
        running = Stack(thread, services, installed, broker_url, tokens)
        running.wait_until_live()
        yield running
        for client in running.clients:
            client.close()
        for service in services:  # together, which is sooner done than one after the other
            service.process.terminate()
