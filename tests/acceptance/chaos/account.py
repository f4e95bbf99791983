"""Three counts that know nothing of each other: what Discord sent, what is in the queues, what the service booked."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from gateway_service.protocol.constants import Opcode
from tests.acceptance.chaos.stack import Stack

_STANDSTILL_S = 40.0
_POLL_S = 1.0


@dataclass(frozen=True)
class Account:
    """The end of one run."""

    sent: int
    queued: int
    duplicates: int
    unexplained: set[str]
    """Sent, in no queue, and in no reported gap: lost."""
    identifies: int
    lost_sessions: int
    """Sessions that a shard could not resume."""

    def __str__(self) -> str:
        return (
            f"sent {self.sent}, queued {self.queued}, duplicates {self.duplicates}, "
            f"lost {len(self.unexplained)}, identifies {self.identifies}, lost sessions {self.lost_sessions}"
        )

    @classmethod
    async def settled(cls, stack: Stack) -> Self:
        """Wait for as long as dispatches are missing and still arrive, and return the account."""
        account, moved_at = await cls._now(stack), time.monotonic()
        while account.unexplained and time.monotonic() - moved_at < _STANDSTILL_S:
            await asyncio.sleep(_POLL_S)
            before, account = account, await cls._now(stack)
            if account.queued > before.queued:
                moved_at = time.monotonic()
        return account

    @classmethod
    async def _now(cls, stack: Stack) -> Self:
        simulator, queues = stack.simulator, stack.queues
        await asyncio.to_thread(queues.read)  # beside the loop that carries the service's connections
        counts = queues.counts
        ids = simulator.dispatched_ids()
        live = {session.session_id for session in simulator.hub.sessions}
        return cls(
            sent=len(ids),
            queued=len(counts),
            duplicates=counts.total() - len(counts),
            unexplained=unexplained(ids - counts.keys(), queues.bodies.values()),
            identifies=len(simulator.transcript.payloads(Opcode.IDENTIFY)),
            lost_sessions=sum(each.session_id not in live for each in simulator.sent_ranges()),
        )


def unexplained(missing: Iterable[str], gaps: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the ids of ``missing`` that are in no gap."""
    told = [(gap["session"], gap["first_seq"], gap["last_seq"]) for gap in gaps]

    def is_told(task_id: str) -> bool:
        session, _, seq = task_id.partition("-")
        return any(
            session == gap_session and first <= int(seq) and (last is None or int(seq) <= last)
            for gap_session, first, last in told
        )

    return {task_id for task_id in missing if not is_told(task_id)}
