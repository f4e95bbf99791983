"""The breaker against loops: who IDENTIFYs again and again waits longer and longer. Pure (protocol §8, I7, I8).

It sees nothing but the IDENTIFYs of the last day, so it works over restarts of shards, processes and services alike.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway_service.protocol.constants import IDENTIFY_DAY_S

# Of one shard: sessions that live for less, one after the other, are a loop.
LIVED_S: Final = 6 * 60 * 60.0
# The first repeat is free, then the window doubles. Full jitter at the cap spends 144 a day.
SHARD_WINDOW_START_S: Final = 10.0
SHARD_WINDOW_CAP_S: Final = 1200.0
_MAX_DOUBLINGS: Final = 10
# Of the whole bot: repeats of a day up to this part of what is not reserved are free, which is room to lose every
# session once even for the largest bots. All further ones come in a pace that spends as much again.
SPARE_PART: Final = 0.25


@dataclass(slots=True)
class _Streak:
    """IDENTIFYs of one shard in a row, none of which led to a session that lived."""

    last_at: float
    length: int
    jitter: float


class IdentifyBreaker:
    """Remembers the repeats of a bot and tells until when a shard has to wait."""

    def __init__(self, rng: Callable[[], float]) -> None:
        """Start closed; ``rng`` gives random numbers in [0, 1)."""
        self._rng = rng
        self._streaks: dict[tuple[int, int], _Streak] = {}
        self._repeats: list[float] = []
        """IDENTIFYs of shards that had identified within the day before."""

    def sent(self, shard_id: int, num_shards: int, at: float) -> None:
        """Count an IDENTIFY; every time is on one clock."""
        before = self._streaks.get((shard_id, num_shards))
        if before is not None and at - before.last_at < IDENTIFY_DAY_S:
            insort(self._repeats, at)
        if before is None or at - before.last_at >= LIVED_S:
            self._streaks[shard_id, num_shards] = _Streak(at, 1, self._rng())
        else:
            self._streaks[shard_id, num_shards] = _Streak(max(at, before.last_at), before.length + 1, self._rng())

    def is_open(self, spare: int, now: float) -> bool:
        """Tell whether the whole bot repeats itself so often that every further repeat is slowed.

        Args:
            spare: IDENTIFYs of a day that are not reserved.
            now: The present moment.
        """
        del self._repeats[: bisect_left(self._repeats, now - IDENTIFY_DAY_S)]
        return len(self._repeats) >= max(1.0, spare * SPARE_PART)

    def not_before(self, shard_id: int, num_shards: int, spare: int, now: float) -> float:
        """Return when the shard may IDENTIFY as far as the breaker is concerned; a past time for at once."""
        streak = self._streaks.get((shard_id, num_shards))
        if streak is None:
            return now
        not_before = now
        if now - streak.last_at < LIVED_S:
            not_before = streak.last_at + streak.jitter * _window_s(streak.length)
        if now - streak.last_at < IDENTIFY_DAY_S and self.is_open(spare, now):
            not_before = max(not_before, self._repeats[-1] + IDENTIFY_DAY_S / max(1.0, spare * SPARE_PART))
        return not_before


def _window_s(sent: int) -> float:
    """Return the window for the next IDENTIFY of a shard that sent so many in a row."""
    repeats = sent - 1
    if not repeats:
        return 0.0
    return min(SHARD_WINDOW_CAP_S, SHARD_WINDOW_START_S * 2.0 ** min(repeats - 1, _MAX_DOUBLINGS))
