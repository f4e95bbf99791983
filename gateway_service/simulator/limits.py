"""Discord's limits, as counted by the server. Time is an argument."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

DAY_S: Final = 24 * 60 * 60.0
# See Discord: events/gateway-events#request-guild-members (rate limit of 2025-10).
ALL_MEMBERS_WINDOW_S: Final = 30.0


@dataclass(slots=True)
class SlidingWindow:
    """Allows ``limit`` happenings in any ``window_s`` seconds."""

    limit: int
    window_s: float
    _times: deque[float] = field(default_factory=deque)

    def take(self, now: float) -> bool:
        """Count one happening; False when it is one too many."""
        while self._times and self._times[0] <= now - self.window_s:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self.limit


@dataclass(slots=True)
class IdentifyPacing:
    """One IDENTIFY per key and window; the key is ``shard_id % max_concurrency``."""

    max_concurrency: int
    window_s: float
    _last: dict[int, float] = field(default_factory=dict)

    def take(self, shard_id: int, now: float) -> bool:
        """Accept an IDENTIFY; False when its key had one within the window."""
        key = shard_id % self.max_concurrency
        last = self._last.get(key)
        if last is not None and now - last < self.window_s:
            return False
        self._last[key] = now
        return True


@dataclass(slots=True)
class IdentifyBudget:
    """``session_start_limit``: the window opens with the first session start and lasts a day."""

    total: int
    remaining: int
    _opened_at: float | None = None

    def take(self, now: float) -> bool:
        """Spend one session start; False when none is left."""
        self._renew(now)
        if self.remaining <= 0:
            return False
        if self._opened_at is None:
            self._opened_at = now
        self.remaining -= 1
        return True

    def reset_after_ms(self, now: float) -> int:
        """Return the rest of the window; 0 while none is open."""
        self._renew(now)
        return 0 if self._opened_at is None else round((self._opened_at + DAY_S - now) * 1000)

    def _renew(self, now: float) -> None:
        if self._opened_at is not None and now >= self._opened_at + DAY_S:
            self._opened_at = None
            self.remaining = self.total


@dataclass(slots=True)
class AllMembersLimit:
    """One request for all members per guild and bot in 30 seconds."""

    _last: dict[int, float] = field(default_factory=dict)

    def retry_after_s(self, guild_id: int, now: float) -> float:
        """Return 0 and count the request, or how long to wait."""
        last = self._last.get(guild_id)
        if last is not None and now - last < ALL_MEMBERS_WINDOW_S:
            return last + ALL_MEMBERS_WINDOW_S - now
        self._last[guild_id] = now
        return 0.0
