"""Our end of the store's identify permits: on the clock of the event loop, and aware of the store's failures."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol, TypeVar

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.constants import IDENTIFY_DAY_S
from gateway_service.state import IdentifyPermits, IdentifyRecord, PermitAnswer, Taken
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# How long to leave a store alone that failed.
RETRY_S: Final = 1.0

_Result = TypeVar("_Result")


class Permits(IdentifyPermits, Protocol):
    """What the journal needs of the store. See :class:`gateway_service.state.State`."""

    def restore(
        self, identifies: Collection[IdentifyRecord], held: Mapping[int, int], desired: Mapping[str, str]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class PastIdentify:
    """An IDENTIFY of any service of the bot."""

    number: int
    shard_id: int
    num_shards: int
    at: float
    """On the clock of the event loop."""


class IdentifyJournal:
    """Takes permits from the store and reads which ones others took. One task asks; anybody may settle a permit.

    Nobody knows what a store has that was away. So the first question to one that is back tells it everything again.
    """

    def __init__(
        self, permits: Permits, num_shards: int, desired: Callable[[], Mapping[str, str]], retry_s: float = RETRY_S
    ) -> None:
        """Begin with nothing known.

        Args:
            permits: The store.
            num_shards: Of the bot.
            desired: What operators want of our own shards, as the store shall have it.
            retry_s: How long to leave a store alone that does not answer.
        """
        self._permits = permits
        self._num_shards = num_shards
        self._desired = desired
        self._known: deque[PastIdentify] = deque()
        """Those of the last day, in order."""
        self._held: dict[int, int] = {}
        """Shards by the number of a permit that they have and have not used."""
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
        now = _now()
        news = [PastIdentify(each.number, each.shard_id, each.num_shards, now - each.age_s) for each in records or ()]
        self._know(news)
        return news

    async def take(self, shard_id: int, max_concurrency: int) -> PermitAnswer | None:
        """Ask for a permit, by what :meth:`news` told so far; None when the store does not answer."""
        answer = await self._ask(
            lambda: self._permits.take_permit(shard_id, max_concurrency=max_concurrency, known=self._read_up_to),
            is_write=True,
        )
        if isinstance(answer, Taken):
            self._know([PastIdentify(answer.number, shard_id, self._num_shards, _now())])
            self._held[answer.number] = shard_id
        return answer

    async def settle(self, shard_id: int, number: int, *, is_used: bool) -> None:
        """Say what became of a permit. If the store does not hear it, the key stays taken for some seconds longer."""
        self._held.pop(number, None)
        settle = self._permits.permit_used if is_used else self._permits.permit_unused
        await self._ask(lambda: settle(shard_id, number))

    def _know(self, identifies: Sequence[PastIdentify]) -> None:
        self._known.extend(identifies)
        while self._known and self._known[0].at < _now() - IDENTIFY_DAY_S:
            self._known.popleft()
        if identifies:
            self._read_up_to = identifies[-1].number

    async def _ask(self, question: Callable[[], _Result], *, is_write: bool = False) -> _Result | None:
        try:
            if self.error is not None and (is_write or not self._cannot_write):
                await self._restore()
            answer = await asyncio.to_thread(question)
        except StateUnavailable as exc:
            self.again_at = _now() + self._retry_s
            self._cannot_write |= is_write
            if self.error is None:
                log_event(_log, logging.ERROR, LogEvent.STATE_FAILED, reason=str(exc))
            self.error = str(exc)
            return None
        if self.error is not None and (is_write or not self._cannot_write):
            self.error, self._cannot_write = None, False
            log_event(_log, logging.INFO, LogEvent.STATE_BACK)
        return answer

    async def _restore(self) -> None:
        now = _now()
        known = [IdentifyRecord(each.number, each.shard_id, each.num_shards, now - each.at) for each in self._known]
        await asyncio.to_thread(self._permits.restore, known, dict(self._held), self._desired())


def _now() -> float:
    return asyncio.get_running_loop().time()
