"""Three counts that know nothing of each other: what Discord sent, what was executed, what the service booked."""

import asyncio
import time
from dataclasses import dataclass
from typing import Self

from gateway_service.protocol.constants import Opcode
from gateway_service.simulator.registry import SentRange
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
    lost_sessions: list[SentRange]
    """Sessions that a shard could not resume."""

    def __str__(self) -> str:
        return (
            f"sent {self.sent}, executed {self.executed}, duplicates {self.duplicates}, "
            f"lost {len(self.unexplained)}, identifies {self.identifies}, lost sessions {len(self.lost_sessions)}"
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
            unexplained=ids - executed.runs.keys(),
            identifies=len(simulator.transcript.payloads(Opcode.IDENTIFY)),
            lost_sessions=[each for each in simulator.sent_ranges() if each.session_id not in live],
        )
