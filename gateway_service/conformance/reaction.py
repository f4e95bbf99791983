"""How a shard reacts to a fault: what was expected and what was seen, in the same words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway_service.conformance.client import Client
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import Simulator
from gateway_service.simulator.registry import task_ids

_WORDS: Final = {"kept": "session kept", "renewed": "new session", "withheld": "no IDENTIFY", "stopped": "stopped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What became of the session, of the connection, and of the dispatches."""

    session: Literal["kept", "renewed", "withheld", "stopped"] = "kept"
    resumes: bool = False
    """Whether a RESUME was sent."""
    closes: int | None = None
    """The code with which the shard closed; None when it did not, or was not heard."""
    lost: int = 0
    told: int = 0
    """Dispatches that were sent, were not delivered, and were told to be missing."""
    twice: int = 0
    """Dispatches that were delivered more than once."""

    def __str__(self) -> str:
        parts = [
            _WORDS[self.session],
            "RESUME" if self.resumes else "no RESUME",
            f"closed with {self.closes}" if self.closes else "",
            f"{self.lost} lost" if self.lost else "nothing lost",
            f"{self.told} told to be missing" if self.told else "",
            f"{self.twice} twice" if self.twice else "",
        ]
        return ", ".join(filter(None, parts))


KEPT = Reaction()
"""The fault is no reason to leave the connection."""
RESUMED = Reaction(resumes=True)
LEFT = Reaction(resumes=True, closes=4000)
"""The shard leaves the connection with a code that keeps the session, and resumes."""
RENEWED = Reaction(session="renewed")
STOPPED = Reaction(session="stopped")


def seen(sim: Simulator, clients: Sequence[Client]) -> Reaction:
    """Return how the shards of one simulator reacted."""
    told = set().union(*(client.told for client in clients))
    delivered = sum((client.delivered for client in clients[1:]), clients[0].delivered.copy())
    identifies = len(sim.transcript.payloads(Opcode.IDENTIFY))
    stopped = any(client.is_stopped for client in clients)
    closes = [record.code for record in sim.transcript.closes()]
    missing = _owed(sim, clients) - delivered.keys()
    return Reaction(
        session="stopped" if stopped else "renewed" if identifies > len(clients) else "kept",
        resumes=bool(sim.transcript.payloads(Opcode.RESUME)),
        closes=closes[-1] if closes else None,
        lost=0 if stopped else len(missing - told),
        told=len(missing & told),
        twice=sum(count > 1 for count in delivered.values()),
    )


def _owed(sim: Simulator, clients: Sequence[Client]) -> set[str]:
    """Return what must have been delivered: what was on a wire, and what waits in the present sessions.

    What waits in a session that Discord has ended, or told us to leave, can be had by nobody.
    """
    present = {client.session for client in clients}
    waiting = [each for each in sim.hub.sessions.dispatched_ranges() if each.session in present]
    return sim.sent_ids() | task_ids(waiting)
