"""The fault that only a process can suffer: its clock goes on while it does not (F19)."""

import os
import signal
import tempfile
from dataclasses import dataclass
from typing import Final

from gateway_service.conformance.loop import until
from gateway_service.conformance.reaction import Reaction
from gateway_service.protocol.constants import Opcode
from gateway_service.settings import GatewayOptions
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.supervisor import Supervisor

_WAIT_S: Final = 60.0
_INTERVAL_MS: Final = 1000
# A broker inside the shard process: it takes everything, and nobody reads it.
_BROKER_URL: Final = "memory://localhost//"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCase:
    """A fault of a whole shard process under its supervisor."""

    fault: str
    name: str
    expected: Reaction
    in_real_time: bool = True

    async def play(self) -> Reaction:
        """Suspend the process until Discord has given it up, let it go on, and return what was seen."""
        async with Simulator(SimulatorConfig(heartbeat_interval_ms=_INTERVAL_MS)) as sim:
            with tempfile.TemporaryDirectory() as directory:
                async with Supervisor(_options(sim, directory), connect_broker=_accept) as supervisor:
                    await until(lambda: sim.connected_shards() and not _behind(sim, supervisor), within_s=_WAIT_S)
                    pid = supervisor.snapshot().processes[0].pid
                    assert pid is not None, "it is connected"
                    os.kill(pid, signal.SIGSTOP)
                    await until(lambda: not sim.connected_shards(), within_s=_WAIT_S)
                    sim.emit("MESSAGE_CREATE", guild_id=sim.guild_ids[0])
                    os.kill(pid, signal.SIGCONT)
                    await until(lambda: sim.connected_shards() and not _behind(sim, supervisor), within_s=_WAIT_S)
                    return Reaction(
                        session="kept" if len(sim.transcript.payloads(Opcode.IDENTIFY)) == 1 else "renewed",
                        resumes=bool(sim.transcript.payloads(Opcode.RESUME)),
                        lost=_behind(sim, supervisor),
                    )


def _options(sim: Simulator, directory: str) -> GatewayOptions:
    return GatewayOptions(
        token=sim.token,
        url=sim.gateway_url,
        shard_count=1,
        processes=1,
        broker_url=_BROKER_URL,
        state_url=f"sqlite:///{directory}/state.db",
        log_level="error",
    )


def _behind(sim: Simulator, supervisor: Supervisor) -> int:
    """Return how many dispatches the shard process has not published."""
    waiting = sum(session.backlog for session in sim.hub.sessions)
    return sim.sent.total + waiting - sum(shard.published for shard in supervisor.snapshot().shards)


def _accept(_broker_url: str) -> None:
    """Take the broker as it is: it is in the shard process, not here."""
