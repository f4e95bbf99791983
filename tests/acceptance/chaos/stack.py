"""The system under trouble: two hosts with a line between them, and handles to everything that can go wrong."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.errors import EX_SOFTWARE, EX_UNAVAILABLE
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.acceptance.chaos.queues import Queues
from tests.support.disk import small_disk
from tests.support.network import FAR_ADDRESS, Network
from tests.support.relay import Relay
from tests.support.secrecy import seen
from tests.support.service import Service, running_service
from tests.support.waiting import until
from tests.support.worker import ROOT

SHARDS = 8
PROCESSES = 2
_DISK_KIB = 96 * 1024
_EVENTS = ("READY", "RESUMED", "GUILD_CREATE", "MESSAGE_CREATE", "GATEWAY_GAP")


@dataclass(frozen=True)
class Stack:
    """Everything that runs, and where trouble can get at it."""

    simulator: Simulator
    network: Network
    rabbitmq: PrivateRabbitMQ
    relay: Relay
    """Carries the service's connections to the broker."""
    queues: Queues
    """Hold what reached the broker for good."""
    service: Service
    disk: Path
    """A small file system that holds nothing but the service's state and spool."""
    clock: Path
    """Seconds by which the service's wall clock is off."""
    broker_in_trouble: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One trouble of the broker at a time: a frozen one cannot be stopped, a stopped one not frozen."""
    service_in_trouble: asyncio.Lock = field(default_factory=asyncio.Lock)
    line_in_trouble: asyncio.Lock = field(default_factory=asyncio.Lock)
    disk_in_trouble: asyncio.Lock = field(default_factory=asyncio.Lock)

    def ledger(self) -> dict[str, Any]:
        """Return the service's own account, as ``gateway-service ledger`` reads it from the store."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway_service", "ledger", "--json"],
            env=self.service.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        account: dict[str, Any] = json.loads(seen(done.stdout))
        seen(done.stderr)
        assert (done.returncode == 0) == account["balanced"], done.stderr
        return account

    async def start_service_again(self) -> None:
        """Start the service when it has ended, as systemd or a kubelet would."""
        await asyncio.to_thread(self.service.process.wait)
        self.service.start()
        await self.shard_pids()

    async def shard_pids(self) -> list[int]:
        """Return the shard processes when all of them run; a service that gave up is started again, as by systemd."""

        def all_running() -> list[int]:
            if (code := self.service.process.poll()) is not None:
                assert code in (EX_UNAVAILABLE, EX_SOFTWARE), self.service.log[-2000:]
                self.service.start()
            pids = self.service.shard_pids()
            return pids if len(pids) == PROCESSES else []

        pids: list[int] = await until(all_running)
        return pids


@asynccontextmanager
async def simulator_on_far_host(network: Network, config: SimulatorConfig) -> AsyncIterator[Simulator]:
    simulator = Simulator(config)
    with network.on_far_host():
        await simulator.__aenter__()
    try:
        yield simulator
    finally:
        await simulator.__aexit__(None, None, None)


@asynccontextmanager
async def running_stack(
    rabbitmq: PrivateRabbitMQ, broker_url: str, directory: Path, log: Callable[[str], None]
) -> AsyncIterator[Stack]:
    """Run all of it with every shard connected. Nobody consumes: what was published stays in the queues."""
    config = SimulatorConfig(
        host=FAR_ADDRESS,
        resume_host=FAR_ADDRESS,
        shards=SHARDS,
        guilds=10 * SHARDS,
        max_concurrency=SHARDS,
        heartbeat_interval_ms=5_000,
        message_bytes=600,
        transcript_limit=1_000_000,
    )
    clock = directory / "clock"
    clock.write_text("0")
    parts = urlsplit(broker_url)
    with (
        closing(Queues(broker_url, _EVENTS)) as queues,
        Network() as network,
        small_disk(directory / "disk", size_kib=_DISK_KIB) as disk,
    ):
        with network.on_far_host():
            listening = socket.create_server((FAR_ADDRESS, 0))
        async with simulator_on_far_host(network, config) as simulator, Relay(listening, rabbitmq.port) as relay:
            relayed_url = parts._replace(netloc=f"guest:guest@{FAR_ADDRESS}:{relay.port}").geturl()
            environment = {
                "PYTHONPATH": str(Path(__file__).parents[2] / "support" / "clock"),
                "TEST_CLOCK_FILE": str(clock),
                "GATEWAY_STATE_URL": f"sqlite:///{disk / 'state.db'}",
            }
            flags = ("--shard-count", str(SHARDS), "--processes", str(PROCESSES))
            with (
                running_service(
                    simulator,
                    relayed_url,
                    directory / "service",
                    *flags,
                    environment=environment,
                    on_host=network.command_on_near_host,
                ) as service,
            ):
                await simulator.wait_for_shards(range(SHARDS), timeout_s=60)
                # A READY that is still on its way is a session that nobody knows of yet.
                await until(lambda: service.log.count("session.opened") >= SHARDS)
                log(f"{SHARDS} shards are connected, service is process {service.process.pid}, we are {os.getpid()}")
                yield Stack(
                    simulator=simulator,
                    network=network,
                    rabbitmq=rabbitmq,
                    relay=relay,
                    queues=queues,
                    service=service,
                    disk=disk,
                    clock=clock,
                )
