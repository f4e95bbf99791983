"""Our end of the store's identify permits: on the clock of the event loop, and aware of the store's failures."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, TypeVar

from gateway_service.errors import StateUnavailable
from gateway_service.state import IdentifyPermits, PermitAnswer, Taken
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# How long to leave a store alone that failed.
RETRY_S: Final = 1.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class PastIdentify:
    """An IDENTIFY that an earlier process or another service of the bot sent."""

    shard_id: int
    num_shards: int
    at: float
    """On the clock of the event loop."""


class IdentifyJournal:
    """Takes permits from the store and reads which ones others took. One task asks; anybody may settle a permit."""

    def __init__(self, permits: IdentifyPermits, retry_s: float = RETRY_S) -> None:
        self._permits = permits
        self._retry_s = retry_s
        self._read_up_to = 0
        self._cannot_write = False
        """A store whose disk is full answers questions, and has no room for a permit."""
        self.again_at = -inf
        """When the store is worth asking, as far as its last failure tells."""
        self.error: str | None = None
        """Why the store cannot be used, as of the last question; None when it can."""

    async def news(self) -> list[PastIdentify]:
        """Return what others took since the last call, or nothing; the first time it is everything there is."""
        records = await self._ask(lambda: self._permits.identifies(self._read_up_to))
        if not records:
            return []
        self._read_up_to = records[-1].number
        now = asyncio.get_running_loop().time()
        return [PastIdentify(record.shard_id, record.num_shards, now - record.age_s) for record in records]

    async def take(self, shard_id: int, max_concurrency: int) -> PermitAnswer | None:
        """Ask for a permit, by what :meth:`news` told so far; None when the store does not answer."""
        answer = await self._ask(
            lambda: self._permits.take_permit(shard_id, max_concurrency=max_concurrency, known=self._read_up_to),
            is_write=True,
        )
        if isinstance(answer, Taken):
            self._read_up_to = answer.number
        return answer

    async def settle(self, shard_id: int, number: int, *, is_used: bool) -> None:
        """Say what became of a permit. If the store does not hear it, the key stays taken for some seconds longer."""
        settle = self._permits.permit_used if is_used else self._permits.permit_unused
        await self._ask(lambda: settle(shard_id, number))

    async def _ask(self, question: Callable[[], _Result], *, is_write: bool = False) -> _Result | None:
        try:
            answer = await asyncio.to_thread(question)
        except StateUnavailable as exc:
            self.again_at = asyncio.get_running_loop().time() + self._retry_s
            self._cannot_write |= is_write
            if self.error is None:
                log_event(_log, logging.ERROR, LogEvent.STATE_FAILED, reason=str(exc))
            self.error = str(exc)
            return None
        if self.error is not None and (is_write or not self._cannot_write):
            self.error, self._cannot_write = None, False
            log_event(_log, logging.INFO, LogEvent.STATE_BACK)
        return answer
