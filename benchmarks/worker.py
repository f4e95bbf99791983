"""CPU per empty task of a worker, from the broker's socket to the acknowledgement, against stock Celery.

Every contender takes the same 1 kB MESSAGE_CREATE messages from a quorum queue of the same arguments, with late acks,
task events, a prefetch of 16 per process and Celery's default log level. It is frozen while the messages are
published, so that each works at its own speed from a full queue. CPU is user plus system time of all its processes,
read from the kernel's scheduler. The rounds are interleaved, and medians are reported.
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from kombu.connection import Connection

from benchmarks.cpu import cpu_s
from gateway_service.contract import EVENTS_EXCHANGE, routing_key
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.publisher.envelope import Envelope, Origin, headers_of
from gateway_service.simulator.guilds import World
from gateway_service.simulator.payloads import Builder

HERE: Final = Path(__file__).parent
START_TIMEOUT_S: Final = 60.0
RUN_TIMEOUT_S: Final = 180.0
IDLE_S: Final = 0.5
EVENT: Final = "MESSAGE_CREATE"
MESSAGE_BYTES: Final = 1000

_world: Final = World(bot_id=1, guilds=20, members_per_guild=100)
_numbers: Final = count(1)


@dataclass(frozen=True)
class Contender:
    """One way to run the worker, and the queue that it consumes."""

    name: str
    queue: str
    command: tuple[str, ...]
    processes: int = 1
    """How many must answer before it is ready, the children of prefork included."""


def _celery(app: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-W", "ignore", "-m", "celery", "-A", app, "worker", *options)


_STOCK_APP: Final = "benchmarks.clients.stock_tasks"
CONTENDERS: Final = (
    Contender("stock prefork", "stock.MESSAGE_CREATE", _celery(_STOCK_APP, "-c", "2"), processes=3),
    Contender("stock solo", "stock.MESSAGE_CREATE", _celery(_STOCK_APP, "-P", "solo")),
    Contender("ours", "default.MESSAGE_CREATE", _celery("gateway_service", "-P", "solo")),
    Contender(
        "ours, 2 processes",
        "default.MESSAGE_CREATE",
        (sys.executable, "-W", "ignore", "-m", "gateway_service", "worker", "--processes", "2"),
        processes=3,
    ),
)


def measure(*, rounds: int, tasks: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run every contender in every round; return ``figures`` and ``ratios``."""
    costs_us: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with TemporaryDirectory() as directory, PrivateRabbitMQ() as broker, ExitStack() as stack:
        broker.add_vhosts([str(number) for number in range(len(CONTENDERS))])
        running = []
        for number, contender in enumerate(CONTENDERS):
            progress(f"starting {contender.name}")
            url = broker.url_of(str(number))
            running.append((contender, url, stack.enter_context(_started(contender, url, Path(directory)))))
        for contender, url, pid in running:
            progress(f"warming up {contender.name}")
            _run(contender, url, pid, tasks // 5)
        for round_number in range(1, rounds + 1):
            for contender, url, pid in running:
                progress(f"round {round_number} of {rounds}: {contender.name}")
                cost_us, rate = _run(contender, url, pid, tasks)
                costs_us.setdefault(contender.name, []).append(cost_us)
                rates.setdefault(contender.name, []).append(rate)
    figures = {
        name: {
            "cpu_us_per_task": round(statistics.median(costs), 2),
            "min": round(min(costs), 2),
            "max": round(max(costs), 2),
            "tasks_per_s": round(statistics.median(rates[name])),
        }
        for name, costs in costs_us.items()
    }
    return {"rounds": rounds, "figures": figures, "ratios": _ratios(figures)}


def _ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    def ratio(rival: str, ours: str) -> float:
        return round(figures[rival]["cpu_us_per_task"] / figures[ours]["cpu_us_per_task"], 3)

    return {
        "stock_solo/ours": ratio("stock solo", "ours"),
        "stock_prefork/ours": ratio("stock prefork", "ours"),
        "stock_solo/ours_processes": ratio("stock solo", "ours, 2 processes"),
        "stock_prefork/ours_processes": ratio("stock prefork", "ours, 2 processes"),
    }


@contextmanager
def _started(contender: Contender, url: str, directory: Path) -> Iterator[int]:
    environment = os.environ | {
        "GATEWAY_BROKER_URL": url,
        "GATEWAY_TASKS": "benchmarks.clients.our_tasks",
        "PYTHONPATH": str(HERE.parent),
    }
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            contender.command, env=environment, cwd=directory, stdout=log, stderr=log, process_group=0
        )
    try:
        _wait_until(lambda: _consumers(url, contender.queue) > 0 and len(_tree(process.pid)) >= contender.processes)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _run(contender: Contender, url: str, pid: int, tasks: int) -> tuple[float, float]:
    """Return CPU microseconds per task and tasks per second of one round."""
    pids = _tree(pid)
    _signal(pids, signal.SIGSTOP)
    try:
        _publish(url, tasks)
    finally:
        before_s, started_at = _cpu_s(pids), time.monotonic()
        _signal(pids, signal.SIGCONT)
    idle_since = _idle(pids)
    if left := _ready_messages(url, contender.queue):
        raise RuntimeError(f"{contender.name}: {left} of {tasks} messages are left in the queue")
    if _tree(pid) != pids:
        raise RuntimeError(f"{contender.name}: a process ended during the round")
    return (_cpu_s(pids) - before_s) / tasks * 1e6, tasks / (idle_since - started_at)


def _publish(url: str, tasks: int) -> None:
    data = orjson.dumps(Builder(_world, _world.guild_ids[0], random.Random(0), MESSAGE_BYTES).message_create())
    with Connection(url) as connection:
        producer = connection.Producer()
        for _ in range(tasks):
            envelope = Envelope(EVENT, next(_numbers), "0123456789abcdef", 0, 1, 1 << 42, time.time(), None, data)
            producer.publish(
                envelope.body,
                exchange=EVENTS_EXCHANGE,
                routing_key=routing_key(EVENT, envelope.guild_id),
                content_type="application/json",
                content_encoding="utf-8",
                headers=headers_of(envelope, Origin(bot_id="100")),
                correlation_id=envelope.task_id,
            )


def _idle(pids: Sequence[int]) -> float:
    """Wait until the processes have no more work, and return since when (monotonic seconds)."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    busy_s, since = _cpu_s(pids), time.monotonic()
    while time.monotonic() - since < IDLE_S:
        if time.monotonic() > deadline:
            raise RuntimeError(f"still busy after {RUN_TIMEOUT_S:.0f} s")
        time.sleep(0.02)
        spent_s = _cpu_s(pids)
        if spent_s - busy_s > 0.002:  # a process at rest wakes up for its timers too
            busy_s, since = spent_s, time.monotonic()
    return since


def _tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in _tree(int(child)))]


def _cpu_s(pids: Sequence[int]) -> float:
    return sum(map(cpu_s, pids))


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def _consumers(url: str, queue: str) -> int:
    with Connection(url) as connection:
        try:
            return int(connection.channel().queue_declare(queue, passive=True).consumer_count)
        except connection.channel_errors:  # it is not declared yet
            return 0


def _ready_messages(url: str, queue: str) -> int:
    with Connection(url) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).message_count)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"a worker did not start within {START_TIMEOUT_S:.0f} s")
        time.sleep(0.1)
