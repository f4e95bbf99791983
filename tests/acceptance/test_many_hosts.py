"""One bot on several hosts, each with its own address, as have its broker, its Redis and Discord."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest

from gateway_service.embedded import find_rabbitmq, find_valkey_server
from gateway_service.protocol.constants import IDENTIFY_WINDOW_S, Opcode
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.acceptance.chaos.queues import Queues
from tests.support.host_servers import HostRabbitMQ, HostRedis
from tests.support.hosts import Host, Hosts, missing_for_hosts
from tests.support.service import Service, running_service
from tests.support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.rabbitmq,
    pytest.mark.skipif(missing_for_hosts() is not None, reason=str(missing_for_hosts())),
    pytest.mark.skipif(find_rabbitmq() is None, reason="no RabbitMQ server is installed on this machine"),
    pytest.mark.skipif(find_valkey_server() is None, reason="no Valkey or Redis server is installed on this machine"),
]

SHARDS = 32
KEYS = 16


@dataclass(frozen=True)
class World:
    """What the services of the bot find."""

    simulator: Simulator
    broker: HostRabbitMQ
    redis: HostRedis
    queues: "HostQueues"
    folder: Path

    @contextmanager
    def service(self, host: Host, shards: str) -> Iterator[Service]:
        """Run a service on a host of its own; the folder is of that host alone."""
        with running_service(
            self.simulator,
            self.broker.url,
            self.folder / host.namespace,
            *("--shard-count", str(SHARDS), "--shards", shards, "--processes", "1"),
            environment={"GATEWAY_STATE_URL": self.redis.url},
            on_host=host.command,
        ) as service:
            yield service

    def identified(self) -> list[int | None]:
        return [record.shard_id for record in self.simulator.transcript.payloads(Opcode.IDENTIFY)]

    def resumed(self, since: float) -> set[int | None]:
        """Return the shards that sent a RESUME since then (monotonic seconds)."""
        shards = {record.session_id: record.shard_id for record in self.simulator.transcript}
        resumes = self.simulator.transcript.payloads(Opcode.RESUME)
        return {shards.get(record.data["session_id"]) for record in resumes if record.at >= since}


class HostQueues:
    """What has reached the broker for good, read on its own host."""

    def __init__(self, host: Host, broker_url: str) -> None:
        self._host = host
        self._queues = host.call(lambda: Queues(broker_url, ["MESSAGE_CREATE"]))

    def read(self) -> list[str]:
        """Return the ids of all messages so far."""
        self._host.call(self._queues.read)
        return self._queues.ids

    def close(self) -> None:
        self._queues.close()


@asynccontextmanager
async def world(hosts: Sequence[Host], folder: Path) -> AsyncIterator[World]:
    between, store, discord = hosts
    config = SimulatorConfig(
        host=discord.address, resume_host=discord.address, shards=SHARDS, guilds=SHARDS, max_concurrency=KEYS
    )
    simulator = Simulator(config)
    with (
        HostRabbitMQ(between, folder / "rabbitmq") as broker,
        closing(HostRedis(store, folder / "redis")) as server,
        closing(HostQueues(between, broker.url)) as queues,
    ):
        with discord.entered():
            await simulator.__aenter__()
        try:
            yield World(simulator, broker, server, queues, folder)
        finally:
            await simulator.__aexit__(None, None, None)


def asked(host: Host, service: Service, path: str, put: object = None) -> tuple[int, str]:
    """Ask the control API on its own host, or put something there."""
    url = f"http://127.0.0.1:{service.control_port()}{path}"
    request = urllib.request.Request(url)
    if put is not None:
        body, kind = json.dumps(put).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, kind, method="PUT")

    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    return host.call(ask)


async def upgrade_and_roll_back(bot: World, services: Sequence[Service]) -> None:
    """Go to another version host by host, as docs/deploying.md says, and back: nobody identifies, nothing is lost."""
    simulator, identified = bot.simulator, len(bot.identified())
    for service in (*services, *services):
        assert await asyncio.to_thread(service.stop) == 0
        for guild_id in simulator.guild_ids:
            simulator.emit("MESSAGE_CREATE", guild_id=guild_id)
        service.start()
        await simulator.wait_for_shards(range(SHARDS), timeout_s=60)
    assert len(bot.identified()) == identified
    missed = len(services) * 2 * len(simulator.guild_ids)
    await until(lambda: len(set(bot.queues.read())) == 1 + missed)


async def test_many_hosts_are_one_bot_whatever_happens_to_redis_and_to_one_of_them(tmp_path: Path) -> None:
    with Hosts(6) as hosts:
        first, second, spare, *others = hosts.hosts
        async with world(others, tmp_path) as bot:
            simulator, transcript = bot.simulator, bot.simulator.transcript
            with bot.service(first, "0-15") as lower, bot.service(second, "16-31") as upper:
                # Each key belongs to a shard of both.
                await simulator.wait_for_shards(range(SHARDS), timeout_s=60)
                assert sorted(bot.identified()) == list(range(SHARDS))
                transcript.assert_identifies_paced(max_concurrency=KEYS, window_s=IDENTIFY_WINDOW_S)
                transcript.assert_no_violations()
                await until(lambda: asked(first, lower, "/readyz")[0] == 200)
                asking = asyncio.to_thread(asked, first, lower, "/v1/presence", {"presence": {"status": "dnd"}})
                assert (await asking)[0] == 200
                await until(lambda: bot.redis.kept()["desired"] == SHARDS)

                cut_at = time.monotonic()
                bot.redis.host.cut()
                simulator.op9(3, resumable=False)
                simulator.op7(20)
                await until(lambda: "does not answer" in asked(first, lower, "/v1/shards/3")[1])
                assert asked(first, lower, "/readyz")[0] == 503
                assert "the state store at redis://" in asked(first, lower, "/readyz")[1]
                simulator.emit("MESSAGE_CREATE", guild_id=simulator.guild_ids[0])
                await until(lambda: len(bot.queues.read()) == 1)
                await until(lambda: 20 in bot.resumed(cut_at))
                assert len(bot.identified()) == SHARDS

                bot.redis.host.join()
                bot.redis.restart_empty()
                await simulator.wait_for_shards(range(SHARDS), timeout_s=60)
                assert bot.identified()[SHARDS:] == [3]
                for host, service in ((first, lower), (second, upper)):
                    await until(lambda host=host, service=service: asked(host, service, "/readyz")[0] == 200)
                everything = {"sessions": SHARDS, "desired": SHARDS, "identifies": SHARDS + 1, "claims": SHARDS}
                await until(lambda: bot.redis.kept() == everything)

                killed_at = time.monotonic()
                lower.kill_everything()
                with bot.service(spare, "0-15") as successor:
                    await until(lambda: set(range(16)) <= bot.resumed(killed_at))
                    await simulator.wait_for_shards(range(SHARDS), timeout_s=60)
                    assert len(bot.identified()) == SHARDS + 1
                    await upgrade_and_roll_back(bot, (successor, upper))
                    transcript.assert_no_violations()
                    # In threads: Discord and the way to the broker are on this loop.
                    stops = [asyncio.to_thread(service.stop) for service in (successor, upper)]
                    assert await asyncio.gather(*stops) == [0, 0]
