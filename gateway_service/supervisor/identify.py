"""The one owner of a bot's identify permits: grants them in Discord's pace, whatever dies or restarts."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import inf, isinf
from typing import Any, Final

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.identify import IdentifyScheduler
from gateway_service.state import IdentifyLog
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

PresenceOf = Callable[[int], Awaitable[dict[str, Any] | None]]
Grant = Callable[[int, dict[str, Any] | None], None]


def monotonic_last_sent(
    sent_at: Mapping[int, float], *, max_concurrency: int, wall_now: float, now: float
) -> dict[int, float]:
    """Translate the identify log of an earlier process to the monotonic clock of this one.

    A time in the future (the clock was set back) counts as this moment. Keys of a higher concurrency fold onto
    today's.
    """
    translated: dict[int, float] = {}
    for key, at in sent_at.items():
        folded = key % max_concurrency
        translated[folded] = max(now - max(0.0, wall_now - at), translated.get(folded, -inf))
    return translated


class PermitOwner:
    """Grants permits one by one; every use of a key is on disk before the shard may use it."""

    def __init__(
        self, scheduler: IdentifyScheduler, identify_log: IdentifyLog, presence_of: PresenceOf, grant: Grant
    ) -> None:
        """Start with no request.

        Args:
            scheduler: Decides whose turn it is; its clock is the loop's.
            identify_log: Where the uses of keys are kept for the next supervisor.
            presence_of: Asked for the presence of each shard that gets a permit.
            grant: Hands a permit and its presence to a shard.
        """
        self._scheduler = scheduler
        self._identify_log = identify_log
        self._presence_of = presence_of
        self._grant = grant
        self._changed = asyncio.Event()
        self._granted: dict[int, object] = {}
        """Shards that hold their key, each with a mark of that very permit."""
        self._used: list[tuple[int, float]] = []
        """Keys and UNIX seconds of IDENTIFYs that the log does not have yet."""

    @property
    def waiting(self) -> int:
        """How many shards wait for a permit."""
        return self._scheduler.waiting

    def request(self, shard_id: int) -> None:
        """Queue a shard that wants to IDENTIFY."""
        self._granted.pop(shard_id, None)
        self._scheduler.request(shard_id, _now())
        self._changed.set()

    def cancel(self, shard_id: int) -> None:
        """Take back a request, or a permit that the shard has not used and will not use."""
        self._granted.pop(shard_id, None)
        self._scheduler.cancel(shard_id)
        self._changed.set()

    def sent(self, shard_id: int) -> None:
        """Start the spacing of the shard's key: its IDENTIFY is on the way."""
        self._granted.pop(shard_id, None)
        self._scheduler.sent(shard_id, _now())
        self._used.append((self._scheduler.key_of(shard_id), time.time()))
        self._changed.set()

    def gone(self, shard_ids: Iterable[int]) -> None:
        """Drop all that the shards of a dead process asked for; a permit they held may have been used."""
        for shard_id in shard_ids:
            if self._granted.pop(shard_id, None) is None:
                self._scheduler.cancel(shard_id)
            else:
                self._scheduler.sent(shard_id, _now())
        self._changed.set()

    async def run(self) -> None:
        """Grant permits until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._until_due()
                used, self._used = self._used, []
                for key, sent_at in used:
                    group.create_task(self._record(key, sent_at), name=f"identify-log-{key}")
                for shard_id in self._scheduler.due(_now()):
                    mark = self._granted[shard_id] = object()
                    group.create_task(self._hand_over(shard_id, mark), name=f"permit-{shard_id}")

    async def _until_due(self) -> None:
        self._changed.clear()
        deadline = self._scheduler.next_deadline
        try:
            async with asyncio.timeout_at(None if isinf(deadline) else deadline):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _hand_over(self, shard_id: int, mark: object) -> None:
        presence = await self._presence_of(shard_id)
        # Written down before it happens: dying in between must not free the key.
        await self._record(self._scheduler.key_of(shard_id), time.time())
        if self._granted.get(shard_id) is mark:
            self._grant(shard_id, presence)

    async def _record(self, key: int, sent_at: float) -> None:
        try:
            await asyncio.to_thread(self._identify_log.record, key, sent_at)
        except StateUnavailable as exc:
            log_event(_log, logging.ERROR, LogEvent.STATE_FAILED, reason=str(exc))


def _now() -> float:
    return asyncio.get_running_loop().time()
