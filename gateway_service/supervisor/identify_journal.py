"""Our end of the identify log: on the clock of the event loop, and it outlives the failures of the store."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway_service.errors import StateUnavailable
from gateway_service.state import IdentifyLog
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class PastIdentify:
    """An IDENTIFY that an earlier process or another service of the bot sent."""

    shard_id: int
    num_shards: int
    at: float
    """On the clock of the event loop."""


class IdentifyJournal:
    """Notes our IDENTIFYs in the log and reads those of others."""

    def __init__(self, identify_log: IdentifyLog) -> None:
        self._identify_log = identify_log
        self._in_order = asyncio.Lock()
        self._read_up_to = 0
        self._own: set[int] = set()
        """Numbers of our records after that."""

    async def news(self) -> list[PastIdentify]:
        """Return what others noted since the last call; the first one returns everything there is."""
        async with self._in_order:
            records = await self._ask(lambda: self._identify_log.identifies(self._read_up_to))
            if not records:
                return []
            theirs = [record for record in records if record.number not in self._own]
            self._read_up_to = records[-1].number
            self._own.clear()
        now, wall_now = asyncio.get_running_loop().time(), time.time()
        # A time in the future, from before the clock was set back, counts as this moment.
        return [
            PastIdentify(record.shard_id, record.num_shards, now - max(0.0, wall_now - record.sent_at))
            for record in theirs
        ]

    async def record(self, shard_id: int, sent_at: float) -> int | None:
        """Note an IDENTIFY (UNIX seconds); return the number to correct it by, None when it could not be noted."""
        async with self._in_order:
            number = await self._ask(lambda: self._identify_log.record_identify(shard_id, sent_at))
            if number is not None:
                self._own.add(number)
                self._read_up_to = min(self._read_up_to, number)  # the store was made again
        return number

    async def correct(self, number: int, sent_at: float) -> None:
        """Note when a recorded IDENTIFY really went out (UNIX seconds)."""
        await self._ask(lambda: self._identify_log.correct_identify(number, sent_at))

    async def _ask(self, question: Callable[[], _Result]) -> _Result | None:
        try:
            return await asyncio.to_thread(question)
        except StateUnavailable as exc:
            log_event(_log, logging.ERROR, LogEvent.STATE_FAILED, reason=str(exc))
            return None
