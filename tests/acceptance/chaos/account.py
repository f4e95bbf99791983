"""Three counts that know nothing of each other: what Discord sent, what is in the queues, what the service booked."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import inf
from typing import Any, Self

from gateway_service.protocol.constants import Opcode
from gateway_service.simulator.registry import SentRange
from tests.acceptance.chaos.stack import Stack

# A shard waits for a minute between two attempts when many in a row failed.
_STANDSTILL_S = 70.0
_POLL_S = 1.0


@dataclass(frozen=True)
class Account:
    """The end of one run."""

    sent: int
    queued: int
    """Different dispatches in the queues."""
    repeated: int
    """Messages beyond the first of a dispatch."""
    told: int
    """Sent, in no queue, and in a reported gap."""
    unnoted: int
    """In a queue and in a reported gap: their process was killed before it could note that it had published them."""
    unexplained: frozenset[str]
    """Sent, in no queue, and in no reported gap: lost."""
    identifies: int
    lost_sessions: int
    """Sessions that Discord ended, or of which a killed process took the READY with it."""

    def __str__(self) -> str:
        return (
            f"sent {self.sent}, queued {self.queued}, repeated {self.repeated}, told in gaps {self.told}, "
            f"queued and told {self.unnoted}, "
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
        missing = ids - counts.keys()
        ranges = simulator.sent_ranges()
        live = {session.session_id for session in simulator.hub.sessions}
        gaps = tuple(queues.bodies.values())
        open_ended = {gap["session"] for gap in gaps if gap["last_seq"] is None}
        unheard = unheard_sessions(ranges, counts, open_ended)
        lost = unexplained(missing, gaps, unheard)
        queued = ids - missing
        return cls(
            sent=len(ids),
            queued=len(queued),
            repeated=counts.total() - len(counts),
            told=len(missing) - len(lost),
            unnoted=len(queued) - len(unexplained(queued, gaps, ())),
            unexplained=lost,
            identifies=len(simulator.transcript.payloads(Opcode.IDENTIFY)),
            lost_sessions=sum(each.session_id not in live or each.session in unheard for each in ranges),
        )


def unheard_sessions(ranges: Iterable[SentRange], queued: Iterable[str], open_ended: Collection[str]) -> frozenset[str]:
    """Return the sessions that nobody knows of: their process was killed before it could note their READY.

    They lie in the gap that was told when the session before them on the same shard ended.
    """
    heard = {task_id.partition("-")[0] for task_id in queued}
    by_shard = groupby(sorted(ranges, key=_of_shard), key=lambda each: each.shard_id)
    unheard = set[str]()
    for _, sessions in by_shard:
        is_in_gap = False
        for each in sessions:
            if each.session in heard:
                is_in_gap = each.session in open_ended
            elif is_in_gap:
                unheard.add(each.session)
    return frozenset(unheard)


def _of_shard(each: SentRange) -> tuple[int, int]:
    return each.shard_id, each.number


def unexplained(missing: Iterable[str], gaps: Iterable[Mapping[str, Any]], unheard: Collection[str]) -> frozenset[str]:
    """Return the ids of ``missing`` that are in no gap and of no session that nobody heard of."""
    told = defaultdict[str, list[tuple[int, float]]](list)
    for gap in gaps:
        told[gap["session"]].append((gap["first_seq"], inf if gap["last_seq"] is None else gap["last_seq"]))

    def is_told(task_id: str) -> bool:
        session, _, seq = task_id.partition("-")
        return session in unheard or any(first <= int(seq) <= last for first, last in told.get(session, ()))

    return frozenset(task_id for task_id in missing if not is_told(task_id))
