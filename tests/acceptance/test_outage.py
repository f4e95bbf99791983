"""The ladder, on real processes: a broker that is away costs time and nothing else, and what is lost is told."""

import asyncio
import json
import os
import re
import signal
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path

import httpx
import pytest

from gateway_service.contract import session_hash
from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.protocol.constants import Opcode
from gateway_service.protocol.states import State
from gateway_service.publisher import Rung
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.simulator.faults import AskHeartbeats, AskReconnect, InvalidateSession, Moment
from tests.support.disk import small_disk
from tests.support.publishing import KombuSubject, Received, argument_of
from tests.support.service import Service, running_service
from tests.support.waiting import until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]

SHARDS = 2
FLAGS = ("--shard-count", str(SHARDS), "--processes", "1", "--outbox-max-bytes", "1MiB", "--spool-max-bytes", "3MiB")
CAN_MOUNT = os.geteuid() == 0


HEARTBEAT_S = 10.0
_LOOK_EVERY_S = 0.2


class Outage:
    """A service whose broker goes away and comes back, and what arrives in the queues of two groups."""

    def __init__(
        self, simulator: Simulator, service: Service, rabbitmq: PrivateRabbitMQ, subject: KombuSubject
    ) -> None:
        self.simulator = simulator
        self.service = service
        self.rabbitmq = rabbitmq
        self.subject = subject

    async def break_broker(self) -> None:
        await asyncio.to_thread(self.rabbitmq.stop)

    async def mend_broker(self) -> None:
        await asyncio.to_thread(self.rabbitmq.start)

    async def reach(self, rung: str, times: int = 1) -> None:
        await until(lambda: self.service.log.count(f"outbox.rung rung={rung} ") >= times)

    async def kill_shard_process(self) -> None:
        (pid,) = self.service.shard_pids()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: self.service.shard_pids() not in ([], [pid]))

    async def arrived(self) -> list[Received]:
        """Wait until every dispatch of the simulator is in the queue, and return what is."""
        received: list[Received] = []

        async def is_complete() -> bool:
            nonlocal received
            received += await asyncio.to_thread(self.subject.read_all, "all")
            return self.simulator.dispatched_ids() <= {each.headers["id"] for each in received}

        async with asyncio.timeout(90.0):
            while not await is_complete():
                pass
        return received

    async def kill_everything(self) -> None:
        """Kill every process at once and start the service again; wait until every shard has resumed."""
        resumes = len(self.simulator.transcript.payloads(Opcode.RESUME))
        self.service.kill_everything()
        self.service.start()
        await until(lambda: len(self.simulator.transcript.payloads(Opcode.RESUME)) >= resumes + SHARDS)

    async def is_served(self) -> None:
        """Let Discord ask for a heartbeat, for a reconnect on one shard and for a RESUME on the other, and wait."""
        await self.simulator.wait_for_shards(range(SHARDS))  # a slow rung above may have suspended one for a while
        said = self.simulator.transcript.payloads
        beats = {shard_id: len(said(Opcode.HEARTBEAT, shard_id=shard_id)) for shard_id in range(SHARDS)}
        resumes = len(said(Opcode.RESUME))
        self.simulator.inject(AskHeartbeats(1))
        # Before the next one is due, or it would not be the answer.
        await until(
            lambda: all(len(said(Opcode.HEARTBEAT, shard_id=each)) > beats[each] for each in beats),
            timeout_s=HEARTBEAT_S / 2,
        )
        self.simulator.inject(AskReconnect(), 0)
        self.simulator.inject(InvalidateSession(resumable=True), 1)
        await until(lambda: len(said(Opcode.RESUME)) >= resumes + SHARDS)
        await self.simulator.wait_for_shards(range(SHARDS))


class Visible:
    """What the doors of the service show while it goes down and up: the rungs of metrics, processes and shards."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.in_metrics: set[str] = set()
        self.of_processes: set[str] = set()
        self.of_shards: set[tuple[str, str]] = set()
        """Rung and state."""

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        async with httpx.AsyncClient(timeout=5.0) as api:
            while True:
                with suppress(httpx.HTTPError):  # it is killed in the midst of it
                    await self._look(api)
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self, api: httpx.AsyncClient) -> None:
        *_, port = re.findall(r"control\.listening address=\S+:(\d+)", self._service.log)
        url = f"http://127.0.0.1:{port}"
        shards = (await api.get(f"{url}/v1/shards")).json()["result"]["shards"]
        processes = (await api.get(f"{url}/v1/processes")).json()["result"]["processes"]
        metrics = (await api.get(f"{url}/metrics")).text
        self.of_shards |= {(shard["rung"], shard["state"]) for shard in shards}
        self.of_processes |= {each["status"]["rung"] for each in processes if each["status"]}
        self.in_metrics |= set(re.findall(r'gateway_ladder_rung\{.*rung="(\w+)".*\} 1\.0', metrics))


@asynccontextmanager
async def running_outage(rabbitmq: PrivateRabbitMQ, url: str, directory: Path) -> AsyncIterator[Outage]:
    config = SimulatorConfig(
        shards=SHARDS,
        guilds=20,
        max_concurrency=SHARDS,
        message_bytes=1000,
        heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
    )
    subject = KombuSubject(url)
    subject.bind("all", "#")
    subject.bind("other.GATEWAY_GAP", "GATEWAY_GAP.*")
    async with Simulator(config) as simulator:
        with running_service(simulator, url, directory, *FLAGS) as service:
            await simulator.wait_for_shards(range(SHARDS))
            outage = Outage(simulator, service, rabbitmq, subject)
            try:
                yield outage
            finally:
                await outage.mend_broker()


def spool_files(folder: Path) -> list[Path]:
    """Return the files with something in them."""
    return [path for path in folder.rglob("*.db") if path.stat().st_size]


def first_arrivals(received: list[Received]) -> dict[str, list[int]]:
    """Return the numbers of each session in the order in which they arrived for the first time."""
    seqs = defaultdict[str, dict[int, None]](dict)
    for each in received:
        seqs[each.headers["session"]].setdefault(each.headers["seq"])
    return {session: list(numbers) for session, numbers in seqs.items()}


@pytest.fixture
def spool_folder(tmp_path: Path) -> Iterator[Path]:
    """Where the spool of the service is: a disk smaller than it may be, if this user may mount one."""
    folder = tmp_path / "spool"
    with small_disk(folder, size_kib=2048) if CAN_MOUNT else nullcontext():
        yield folder


async def test_down_every_rung_and_up_again_nothing_is_lost_and_all_is_in_order(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str, tmp_path: Path, spool_folder: Path
) -> None:
    async with running_outage(rabbitmq, rabbitmq_url, tmp_path) as outage:
        simulator = outage.simulator
        visible = Visible(outage.service)
        watching = asyncio.create_task(visible.watch())
        simulator.start_traffic(40)  # so few that a slow machine is not a rung further down than it is looked for
        await until(lambda: simulator.sent.total > 100)
        await outage.is_served()
        rabbitmq.freeze()
        await outage.reach("lagging")
        await outage.is_served()
        rabbitmq.thaw()
        await outage.reach("confirming")
        await outage.break_broker()
        await outage.reach("memory")
        await outage.is_served()
        await outage.reach("spool")
        await outage.is_served()
        await outage.kill_shard_process()
        await outage.reach("spool", times=2)
        await simulator.wait_for_shards(range(SHARDS))
        simulator.start_traffic(1000)
        await until(lambda: "spool.full" in outage.service.log or "spool.failed" in outage.service.log)
        await outage.reach("suspended")
        await outage.kill_everything()
        await outage.reach("suspended", times=2)
        await simulator.stop_traffic()
        await outage.mend_broker()

        received = await outage.arrived()

        watching.cancel()
        assert visible.in_metrics == visible.of_processes == {rung.value for rung in Rung}
        assert {(Rung.SPOOL, State.LIVE), (Rung.SUSPENDED, State.SUSPENDED)} <= visible.of_shards
        assert {each.headers["id"] for each in received} == simulator.sent_ids()
        for numbers in first_arrivals(received).values():
            assert numbers == sorted(numbers)
        assert len(simulator.transcript.payloads(Opcode.IDENTIFY)) == SHARDS
        simulator.transcript.assert_no_violations()
        simulator.transcript.assert_sessions_kept()
        assert await asyncio.to_thread(outage.service.stop) == 0
        assert "ledger.unbalanced" not in outage.service.log
        assert "gateway.gap" not in outage.service.log
        assert spool_files(spool_folder) == []


async def test_what_a_damaged_spool_and_an_expired_session_cost_is_told_to_every_group(
    rabbitmq: PrivateRabbitMQ, rabbitmq_url: str, tmp_path: Path
) -> None:
    async with running_outage(rabbitmq, rabbitmq_url, tmp_path) as outage:
        simulator = outage.simulator
        await until(lambda: _published_seqs(tmp_path / "state.db") == _sent_seqs(simulator))
        await outage.break_broker()
        before = _sent_seqs(simulator)
        await simulator.traffic(200, 200)
        await outage.reach("spool")
        await until(lambda: _published_seqs(tmp_path / "state.db") == _sent_seqs(simulator))
        outage.service.kill_everything()
        sent = _sent_seqs(simulator)
        for file in (tmp_path / "spool").rglob("*.db*"):
            file.write_bytes(b"no database" * 1000)
        simulator.arm(InvalidateSession(), Moment.RESUME, times=SHARDS)
        outage.service.start()
        await outage.mend_broker()
        await until(lambda: len(simulator.transcript.payloads(Opcode.IDENTIFY)) == 2 * SHARDS)
        await simulator.wait_for_shards(range(SHARDS))

        told = await asyncio.to_thread(outage.subject.read, "other.GATEWAY_GAP", 2 * SHARDS)
        received = await asyncio.to_thread(outage.subject.read_all, "all")

        gaps = [argument_of(each) for each in told]
        by_session = {
            session: sorted((gap["first_seq"], gap["last_seq"]) for gap in gaps if gap["session"] == session)
            for session in sent
        }
        arrived = first_arrivals(received)
        for session, last_seq in sent.items():
            (first, last), (next_seq, unknown) = by_session[session]
            assert (first, last) == (before[session] + 1, last_seq)
            assert (next_seq, unknown) == (last_seq + 1, None)
            assert arrived[session] == list(range(1, first))
        assert {each.headers["id"] for each in told} <= {each.headers["id"] for each in received}
        assert all(len(gap["guild_ids"]) > 0 for gap in gaps)
        assert await asyncio.to_thread(outage.service.stop) == 0
        assert "ledger.unbalanced" not in outage.service.log


def _sent_seqs(simulator: Simulator) -> dict[str, int]:
    return {session_hash(session.session_id): session.last_seq for session in simulator.hub.sessions}


def _published_seqs(state: Path) -> dict[str, int]:
    connection = sqlite3.connect(state)
    try:
        stored = [json.loads(text) for (text,) in connection.execute("SELECT session FROM sessions")]
    finally:
        connection.close()
    return {session_hash(each["session_id"]): each["seq"] for each in stored}
