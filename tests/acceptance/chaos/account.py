"""Three counts that know nothing of each other: what Discord sent, what was executed, what the service booked."""

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
    executed: int
    duplicates: int
    unexplained: set[str]
    """Sent, never executed, and in no reported gap: lost."""
    identifies: int
    lost_sessions: int
    """Sessions that a shard could not resume."""

    def __str__(self) -> str:
        return (
            f"sent {self.sent}, executed {self.executed}, duplicates {self.duplicates}, "
            f"lost {len(self.unexplained)}, identifies {self.identifies}, lost sessions {self.lost_sessions}"
        )

    @classmethod
    async def settled(cls, stack: Stack) -> Self:
        """Wait for as long as tasks are still executed and dispatches missing, and return the account."""
        account, moved_at = cls._now(stack), time.monotonic()
        while account.unexplained and time.monotonic() - moved_at < _STANDSTILL_S:
            await asyncio.sleep(_POLL_S)
            before, account = account, cls._now(stack)
            if account.executed > before.executed:
                moved_at = time.monotonic()
        return account

    @classmethod
    def _now(cls, stack: Stack) -> Self:
        simulator, executed = stack.simulator, stack.executed()
        ids = simulator.dispatched_ids()
        live = {session.session_id for session in simulator.hub.sessions}
        return cls(
            sent=len(ids),
            executed=executed.executed,
            duplicates=executed.duplicates,
            unexplained=unexplained(ids - executed.runs.keys(), stack.gaps()),
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
