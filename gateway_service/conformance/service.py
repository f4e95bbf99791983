"""Faults that concern more than one shard's protocol: a supervisor with its real shard processes meets them."""

import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway_service.conformance.loop import until
from gateway_service.conformance.reaction import RESUMED, Reaction
from gateway_service.protocol.constants import Opcode
from gateway_service.settings import GatewayOptions
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.supervisor import Policy, Supervisor

_WAIT_S: Final = 90.0
_INTERVAL_MS: Final = 1000
# A broker inside the shard process: it takes everything, and nobody reads it.
_BROKER_URL: Final = "memory://localhost//"
# Windows of 30 seconds in production; one has to be longer than the second between two reports.
_QUICK: Final = Policy(silence_window_s=1.6, silence_min_history=4, silence_surprise=6.0)
_RATE: Final = 60
_KNOWN: Final = 150

Strike = Callable[[Simulator, Supervisor], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCase:
    """A fault, and how the whole service has to react."""

    fault: str
    name: str
    expected: Reaction
    strike: Strike
    """Does it, and waits for the end of it."""
    shards: int = 1
    config: Mapping[str, Any] = field(default_factory=dict)

    async def play(self) -> Reaction:
        """Play it and return what was seen."""
        settings = {"shards": self.shards, "max_concurrency": self.shards, "identify_window_s": 0.0, **self.config}
        async with Simulator(SimulatorConfig(heartbeat_interval_ms=_INTERVAL_MS, **settings)) as sim:
            with tempfile.TemporaryDirectory() as directory:
                supervisor = Supervisor(_options(sim, directory), policy=_QUICK, connect_broker=_accept)
                async with supervisor:
                    await self.strike(sim, supervisor)
                    await until(lambda: not _behind(sim, supervisor), within_s=_WAIT_S)
                    identifies = len(sim.transcript.payloads(Opcode.IDENTIFY)) - self.shards
                    return Reaction(
                        session="kept" if not identifies else "renewed" if identifies > 0 else "withheld",
                        resumes=bool(sim.transcript.payloads(Opcode.RESUME)),
                        lost=_behind(sim, supervisor),
                    )


async def _suspend(sim: Simulator, supervisor: Supervisor) -> None:
    """Stop the process until Discord has given it up."""
    await until(lambda: sim.connected_shards() and not _behind(sim, supervisor), within_s=_WAIT_S)
    pid = supervisor.snapshot().processes[0].pid
    assert pid is not None, "it is connected"
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: not sim.connected_shards(), within_s=_WAIT_S)
    sim.emit("MESSAGE_CREATE", guild_id=sim.guild_ids[0])
    os.kill(pid, signal.SIGCONT)
    await until(sim.connected_shards, within_s=_WAIT_S)


async def _mute(sim: Simulator, supervisor: Supervisor) -> None:
    """Take the intents of one session away for good; wait until the service has found and cured it."""
    sim.start_traffic(_RATE)
    await until(lambda: all(shard.heard > _KNOWN for shard in supervisor.snapshot().shards), within_s=_WAIT_S)
    sim.lose_intents(1)
    await until(lambda: supervisor.snapshot().silences["healed"], within_s=_WAIT_S)
    await sim.stop_traffic()


async def _forbid(_sim: Simulator, supervisor: Supervisor) -> None:
    """Wait until the shard says that there is no IDENTIFY for it."""
    await until(
        lambda: any("no IDENTIFY is left" in (shard.reason or "") for shard in supervisor.snapshot().shards),
        within_s=_WAIT_S,
    )


CASES: Final = (
    ServiceCase(
        fault="F14",
        name="no session starts left",
        expected=Reaction(session="withheld"),
        strike=_forbid,
        config={"identify_remaining": 0},
    ),
    ServiceCase(
        fault="F17",
        name="intents lost; found, resumed, identified again",
        expected=Reaction(session="renewed", resumes=True),
        strike=_mute,
        shards=3,
    ),
    ServiceCase(fault="F19", name="suspended process", expected=RESUMED, strike=_suspend),
)


def _options(sim: Simulator, directory: str) -> GatewayOptions:
    return GatewayOptions(
        token=sim.token,
        api_url=sim.api_url,
        intents="all",
        shard_count="auto",
        processes=1,
        broker_url=_BROKER_URL,
        state_url=f"sqlite:///{directory}/state.db",
        log_level="error",
    )


def _behind(sim: Simulator, supervisor: Supervisor) -> int:
    """Return how many dispatches the shard processes have not published."""
    waiting = sum(session.backlog for session in sim.hub.sessions)
    return sim.sent.total + waiting - sum(shard.published for shard in supervisor.snapshot().shards)


def _accept(_broker_url: str) -> None:
    """Take the broker as it is: it is in the shard process, not here."""
