"""CPU per event of one shard process, from the socket to the broker's confirm, against two rivals.

Ours, zlib-stream and zstd-stream: ``gateway-service start`` with one shard, real RabbitMQ with a quorum queue.
Naive, the same two: websockets, orjson and ``app.send_task``.
discord.py, unmodified: it receives and parses, and publishes nothing.

All read the same generated 1 kB MESSAGE_CREATE as fast as they can. CPU is user plus system time of the one
process under test, read from the kernel's scheduler. The rounds are interleaved, and medians are reported.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from benchmarks.cpu import cpu_s
from gateway_service.contract import EVENTS_EXCHANGE, EVENTS_EXCHANGE_ARGUMENTS
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.simulator import Simulator, SimulatorConfig

HERE: Final = Path(__file__).parent
QUEUE: Final = "bench"
START_TIMEOUT_S: Final = 60.0
RUN_TIMEOUT_S: Final = 120.0
IDLE_S: Final = 0.4


@dataclass(frozen=True)
class Contender:
    """One program under test."""

    name: str
    events: int
    """How many a round sends; slow ones get fewer."""
    command: Callable[[Simulator, str], list[str]]
    """Makes the command line from the simulator and the broker URL."""
    publishes: bool = True
    is_supervised: bool = False
    """Whether the process to measure is a child of the one started."""


def _ours(compression: str) -> Callable[[Simulator, str], list[str]]:
    def command(_simulator: Simulator, _broker_url: str) -> list[str]:
        return [
            *(sys.executable, "-m", "gateway_service", "start", "--shard-count", "1", "--processes", "1"),
            *("--compression", compression, "--intents", "GUILDS,GUILD_MESSAGES,MESSAGE_CONTENT"),
            *("--log-level", "error"),
        ]

    return command


def _naive(compression: str) -> Callable[[Simulator, str], list[str]]:
    script = str(HERE / "clients" / "naive.py")
    return lambda sim, broker_url: [sys.executable, script, sim.gateway_url, sim.token, compression, broker_url]


def _discord_py(simulator: Simulator, _broker_url: str) -> list[str]:
    script = str(HERE / "clients" / "receive_only.py")
    return [sys.executable, "-W", "ignore", script, simulator.api_url, simulator.gateway_url, simulator.token]


def contenders(events: int) -> Sequence[Contender]:
    """Return everything that is compared, each with its number of events per round."""
    return (
        Contender("ours zlib-stream", events, _ours("zlib-stream"), is_supervised=True),
        Contender("ours zstd-stream", events, _ours("zstd-stream"), is_supervised=True),
        Contender("naive zlib-stream", events // 5, _naive("zlib-stream")),
        Contender("naive zstd-stream", events // 5, _naive("zstd-stream")),
        Contender("discord.py", events, _discord_py, publishes=False),
    )


async def measure(*, rounds: int, events: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run every contender in every round; return ``figures`` and ``ratios``."""
    costs_us: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory, PrivateRabbitMQ() as broker:
        _declare(broker.url)
        for number in range(1, rounds + 1):
            for contender in contenders(events):
                progress(f"round {number} of {rounds}: {contender.name}")
                cost_us, rate = await _run(contender, broker.url, Path(directory) / f"{number}-{contender.name}")
                costs_us.setdefault(contender.name, []).append(cost_us)
                rates.setdefault(contender.name, []).append(rate)
    figures = {
        name: {
            "cpu_us_per_event": round(statistics.median(costs), 2),
            "min": round(min(costs), 2),
            "max": round(max(costs), 2),
            "events_per_s": round(statistics.median(rates[name])),
        }
        for name, costs in costs_us.items()
    }
    return {"rounds": rounds, "figures": figures, "ratios": _ratios(figures)}


def _ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    def cost(name: str) -> float:
        return figures[name]["cpu_us_per_event"]

    ratios = {}
    for compression in ("zlib-stream", "zstd-stream"):
        ours = cost(f"ours {compression}")
        ratios[f"ours/naive {compression}"] = round(ours / cost(f"naive {compression}"), 4)
        ratios[f"ours/discord.py {compression}"] = round(ours / cost("discord.py"), 4)
    ratios["ours/naive"] = max(ratios[f"ours/naive {name}"] for name in ("zlib-stream", "zstd-stream"))
    ratios["ours/discord.py"] = max(ratios[f"ours/discord.py {name}"] for name in ("zlib-stream", "zstd-stream"))
    return ratios


async def _run(contender: Contender, broker_url: str, directory: Path) -> tuple[float, float]:
    """Return CPU microseconds per event and events per second of one round."""
    directory.mkdir()
    config = SimulatorConfig(shards=1, guilds=20, identify_window_s=0, message_bytes=1000)
    async with Simulator(config) as simulator, _started(contender, simulator, broker_url, directory) as process:
        await simulator.wait_for_shards([0], timeout_s=START_TIMEOUT_S)
        pid = _shard_process_of(process.pid) if contender.is_supervised else process.pid
        warm_up = contender.events // 5
        await simulator.traffic(total=warm_up)
        await _idle(pid)
        _purge(broker_url)
        before_s, started_at = cpu_s(pid), time.monotonic()
        await simulator.traffic(total=contender.events)
        idle_since = await _idle(pid)
        cost_s = cpu_s(pid) - before_s
        if contender.publishes and (missing := contender.events - _purge(broker_url)):
            raise RuntimeError(f"{contender.name}: {missing} of {contender.events} events are not in the queue")
        return cost_s / contender.events * 1e6, contender.events / (idle_since - started_at)


@contextlib.asynccontextmanager
async def _started(
    contender: Contender, simulator: Simulator, broker_url: str, directory: Path
) -> AsyncIterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "DISCORD_TOKEN": simulator.token,
        "GATEWAY_API_URL": simulator.api_url,
        "GATEWAY_BROKER_URL": broker_url,
        "GATEWAY_STATE_URL": f"sqlite:///{directory / 'state.db'}",
        "PYTHONPATH": str(HERE.parent),
    }
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            contender.command(simulator, broker_url), env=environment, cwd=directory, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def _shard_process_of(pid: int) -> int:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"gateway_service.shard" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise RuntimeError("the supervisor has no shard process")


async def _idle(pid: int) -> float:
    """Wait until a process has no more work, and return since when (monotonic seconds)."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    busy_s, since = cpu_s(pid), time.monotonic()
    while time.monotonic() - since < IDLE_S:
        if time.monotonic() > deadline:
            raise RuntimeError(f"still busy after {RUN_TIMEOUT_S:.0f} s")
        await asyncio.sleep(0.02)
        spent_s = cpu_s(pid)
        if spent_s - busy_s > 0.002:  # a process at rest wakes up for its timers too
            busy_s, since = spent_s, time.monotonic()
    return since


def _declare(broker_url: str) -> None:
    exchange = Exchange(EVENTS_EXCHANGE, type="topic", durable=True, arguments=EVENTS_EXCHANGE_ARGUMENTS)
    queue = Queue(
        QUEUE, exchange, routing_key="MESSAGE_CREATE.#", queue_arguments={"x-queue-type": "quorum"}, durable=True
    )
    with Connection(broker_url) as connection:
        queue(connection.channel()).declare()


def _purge(broker_url: str) -> int:
    """Empty the queue and return how many messages it had."""
    with Connection(broker_url) as connection:
        return int(connection.channel().queue_purge(QUEUE))
