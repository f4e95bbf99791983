"""What each failure costs a running bot: how late its dispatches come, what is replayed, what comes twice.

``gateway-service start`` with 8 shards in 2 processes on real RabbitMQ with a quorum queue, 500 MESSAGE_CREATEs a
second, each with the time at which the simulator made it. One failure after the other strikes the same bot; when
everything has arrived again, the next one does.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final

from kombu.connection import Connection
from kombu.entity import Exchange, Queue, binding
from kombu.exceptions import KombuError
from kombu.message import Message
from kombu.messaging import Consumer

from benchmarks.costs import Cost, median
from gateway_service.contract import EVENTS_EXCHANGE, EVENTS_EXCHANGE_ARGUMENTS, GAP_EVENT
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import (
    Abort,
    AskReconnect,
    InvalidateSession,
    Moment,
    RefuseUpgrade,
    Simulator,
    SimulatorConfig,
)

SHARDS: Final = 8
PROCESSES: Final = 2
RATE: Final = 500
OUTAGE_S: Final = 30.0
_BURST_S: Final = 0.02
_STANDSTILL_S: Final = 10.0
_CALM_S: Final = 3.0
_POLL_S: Final = 0.05
_RETRY_S: Final = 0.05
_START: Final = (
    *(sys.executable, "-m", "gateway_service", "start"),
    *("--shard-count", str(SHARDS), "--processes", str(PROCESSES), "--intents", "GUILDS,GUILD_MESSAGES"),
)


class Arrivals(Thread):
    """Consumes the queue, over every failure of the broker."""

    def __init__(self, broker_url: str) -> None:
        super().__init__(daemon=True)
        exchange = Exchange(EVENTS_EXCHANGE, type="topic", durable=True, arguments=EVENTS_EXCHANGE_ARGUMENTS)
        bindings = [binding(exchange, routing_key=f"{event}.#") for event in ("MESSAGE_CREATE", GAP_EVENT)]
        self._queue = Queue("bench", bindings=bindings, queue_arguments={"x-queue-type": "quorum"}, durable=True)
        self._url = broker_url
        self._stopping = Event()
        self.numbers: set[int] = set()
        self.delay_s = 0.0
        """The longest one since somebody set it to 0."""
        self.twice = 0
        self.gaps = 0
        with Connection(broker_url) as connection:
            self._queue(connection.channel()).declare()

    def run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, KombuError, *Connection(self._url).connection_errors):
                self._consume()
            self._stopping.wait(_RETRY_S)

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _consume(self) -> None:
        with Connection(self._url) as connection, Consumer(connection, [self._queue], on_message=self._take):
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=0.2)

    def _take(self, message: Message) -> None:
        now = time.time()
        data = message.decode()[0][0]
        if message.headers["event"] == GAP_EVENT:
            self.gaps += 1
        elif data["number"] in self.numbers:
            self.twice += not message.delivery_info["redelivered"]
        else:
            self.numbers.add(data["number"])
            self.delay_s = max(self.delay_s, now - data["made_at"])
        message.ack()


@dataclass
class Bot:
    """Everything that runs."""

    simulator: Simulator
    broker: PrivateRabbitMQ
    arrivals: Arrivals
    directory: Path
    sent: set[int] = field(default_factory=set)
    missed: int = 0
    lost_sessions: int = 0

    def start(self) -> None:
        environment = os.environ | {
            "DISCORD_TOKEN": self.simulator.token,
            "GATEWAY_API_URL": self.simulator.api_url,
            "GATEWAY_BROKER_URL": self.broker.url,
            "GATEWAY_STATE_URL": f"sqlite:///{self.directory / 'state.db'}",
            "GATEWAY_CONTROL_ADDRESS": "127.0.0.1:0",
        }
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(_START, env=environment, cwd=self.directory, stdout=log, stderr=log)

    def shard_pids(self) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(each) for each in children if b"gateway_service.shard" in Path(f"/proc/{each}/cmdline").read_bytes()
        ]

    @property
    def replayed(self) -> int:
        log = (self.directory / "log").read_text(errors="replace")
        return sum(map(int, re.findall(r"session\.re(?:sum|play)ed .*replayed=(\d+)", log)))

    @property
    def identifies(self) -> int:
        return len(self.simulator.transcript.payloads(Opcode.IDENTIFY))

    async def talk(self) -> None:
        """Dispatch at the rate until cancelled."""
        guild_ids, number, began = self.simulator.guild_ids, 0, time.monotonic()
        while True:
            while number < (time.monotonic() - began) * RATE:
                guild_id = guild_ids[number % len(guild_ids)]
                data = {"guild_id": str(guild_id), "number": number, "made_at": time.time(), "content": "x" * 600}
                if self.simulator.emit("MESSAGE_CREATE", data, guild_id):
                    self.sent.add(number)
                else:
                    self.missed += 1
                number += 1
            await asyncio.sleep(_BURST_S)

    async def settled(self) -> None:
        """Wait until every shard is back and everything sent until then has arrived, or no more of it comes."""
        await asyncio.sleep(_CALM_S)
        await self.simulator.wait_for_shards(range(SHARDS), timeout_s=120)
        wanted, missing, moved_at = set(self.sent), -1, time.monotonic()
        while left := len(wanted - self.arrivals.numbers):
            if left != missing:
                missing, moved_at = left, time.monotonic()
            elif time.monotonic() - moved_at > _STANDSTILL_S:
                return
            await asyncio.sleep(_POLL_S)


async def kill_process(bot: Bot) -> None:
    os.kill(bot.shard_pids()[0], signal.SIGKILL)


async def kill_everything(bot: Bot) -> None:
    for pid in (bot.process.pid, *bot.shard_pids()):
        os.kill(pid, signal.SIGKILL)
    bot.process.wait()
    bot.start()


async def restart(bot: Bot) -> None:
    bot.process.terminate()
    await asyncio.to_thread(bot.process.wait)
    bot.start()


async def ask_reconnect(bot: Bot) -> None:
    bot.simulator.inject(AskReconnect())


async def cut(bot: Bot) -> None:
    bot.simulator.inject(Abort())


async def kill_resume_host(bot: Bot) -> None:
    bot.simulator.arm(RefuseUpgrade(503), Moment.UPGRADE, times=3 * SHARDS, host="localhost")
    bot.simulator.inject(Abort())


async def lose_session(bot: Bot) -> None:
    bot.simulator.inject(InvalidateSession(), bot.lost_sessions % SHARDS)  # the same one twice would have to wait
    bot.lost_sessions += 1


async def restart_broker(bot: Bot) -> None:
    await asyncio.to_thread(bot.broker.restart)


async def stop_broker(bot: Bot) -> None:
    await asyncio.to_thread(bot.broker.stop)
    await asyncio.sleep(OUTAGE_S)
    await asyncio.to_thread(bot.broker.start)


FAILURES: Final[dict[str, Callable[[Bot], Awaitable[None]]]] = {
    "op 7 to every shard": ask_reconnect,
    "every connection cut": cut,
    "resume host answers 503": kill_resume_host,
    "kill -9 of a shard process": kill_process,
    "kill -9 of everything, started again": kill_everything,
    "SIGTERM, started again": restart,
    "broker restarted": restart_broker,
    f"broker away for {OUTAGE_S:g} s": stop_broker,
    "op 9 false to one shard": lose_session,
}


async def measure(rounds: int, progress: Callable[[str], None]) -> list[Cost]:
    """Let every failure strike so many times, and return the medians of its costs."""
    costs: dict[str, list[Cost]] = {name: [] for name in FAILURES}
    with tempfile.TemporaryDirectory() as directory, PrivateRabbitMQ() as broker:
        async with _running(broker, Path(directory)) as bot:
            for number in range(1, rounds + 1):
                for name, strike in FAILURES.items():
                    progress(f"{name} ({number}/{rounds})")
                    costs[name].append(await _cost(name, strike, bot))
    return [median(each) for each in costs.values()]


async def _cost(name: str, strike: Callable[[Bot], Awaitable[None]], bot: Bot) -> Cost:
    arrivals = bot.arrivals
    before = bot.replayed, arrivals.twice, bot.identifies, arrivals.gaps, bot.missed
    arrivals.delay_s = 0.0
    began = time.monotonic()
    await strike(bot)
    lasted_s = time.monotonic() - began
    await bot.settled()
    after = bot.replayed, arrivals.twice, bot.identifies, arrivals.gaps, bot.missed
    counts = (new - old for new, old in zip(after, before, strict=True))
    return Cost(name, round(lasted_s, 1), round(arrivals.delay_s, 1), *counts)


@contextlib.asynccontextmanager
async def _running(broker: PrivateRabbitMQ, directory: Path) -> AsyncIterator[Bot]:
    config = SimulatorConfig(shards=SHARDS, guilds=10 * SHARDS, max_concurrency=SHARDS)
    async with Simulator(config) as simulator:
        bot = Bot(simulator, broker, Arrivals(broker.url), directory)
        bot.arrivals.start()
        bot.start()
        talking = None
        try:
            await simulator.wait_for_shards(range(SHARDS), timeout_s=120)
            talking = asyncio.create_task(bot.talk())
            await bot.settled()
            yield bot
        finally:
            if talking is not None:
                talking.cancel()
            bot.process.terminate()
            await asyncio.to_thread(bot.process.wait)
            await asyncio.to_thread(bot.arrivals.stop)
