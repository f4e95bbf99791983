"""Pacing of IDENTIFY: whose turn it is, when. Pure; the supervisor owns the one instance of a bot (protocol §8)."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from gateway_service.protocol.constants import IDENTIFY_JITTER_S, IDENTIFY_SPACING_S

# A shard sends IDENTIFY as soon as the permit arrives. One that is silent for so long may have sent it and died.
HOLD_TIMEOUT_S: Final = 15.0


class IdentifyScheduler:
    """Grant permits: one per key and spacing, lowest shard id first; key = shard_id % max_concurrency (I1, I2).

    A key is held from the grant until ``sent`` or ``cancel``. Without either, the IDENTIFY counts as sent when
    the hold times out.
    """

    def __init__(
        self,
        max_concurrency: int,
        *,
        rng: Callable[[], float],
        spacing_s: float = IDENTIFY_SPACING_S,
        last_sent: Mapping[int, float] | None = None,
    ) -> None:
        """Start with every key free.

        Args:
            max_concurrency: What Discord allows at once; less than 1 counts as 1.
            rng: Random numbers in [0, 1).
            spacing_s: Seconds between two IDENTIFYs of one key, counted from the sending.
            last_sent: When each key was last used before this process started, on the clock of ``now``.
        """
        self._max_concurrency = max(1, max_concurrency)
        self._rng = rng
        self._spacing_s = spacing_s
        self._waiting: dict[int, float] = {}  # shard id -> it asked
        self._held: dict[int, float] = {}  # shard id -> hold ends
        self._free_at = {key: at + spacing_s for key, at in (last_sent or {}).items()}

    @property
    def max_concurrency(self) -> int:
        return self._max_concurrency

    @property
    def waiting(self) -> int:
        """How many shards wait for a permit."""
        return len(self._waiting)

    def key_of(self, shard_id: int) -> int:
        """Return the rate limit key of a shard."""
        return shard_id % self._max_concurrency

    def request(self, shard_id: int, now: float) -> None:
        """Queue a shard; asking again changes nothing, and takes back a permit it got and cannot have used."""
        self._held.pop(shard_id, None)
        self._waiting.setdefault(shard_id, now)

    def cancel(self, shard_id: int) -> None:
        """Forget a request or a permit that was not used."""
        self._waiting.pop(shard_id, None)
        self._held.pop(shard_id, None)

    def sent(self, shard_id: int, now: float) -> None:
        """Start the spacing of the shard's key: its IDENTIFY went out."""
        self._held.pop(shard_id, None)
        key = self.key_of(shard_id)
        free_at = now + self._spacing_s + self._rng() * IDENTIFY_JITTER_S
        self._free_at[key] = max(free_at, self._free_at.get(key, free_at))

    def due(self, now: float) -> list[int]:
        """Return the shards that may IDENTIFY now, lowest first; each holds its key from here on."""
        for shard_id, ends in list(self._held.items()):
            if ends <= now:
                self.sent(shard_id, now)
        granted = [shard_id for shard_id, at in self._next_of_each_key() if at <= now]
        for shard_id in granted:
            del self._waiting[shard_id]
            self._held[shard_id] = now + HOLD_TIMEOUT_S
        return granted

    @property
    def next_deadline(self) -> float:
        """When :meth:`due` has to be called again; infinity while nobody waits and nothing is held."""
        return min((*(at for _, at in self._next_of_each_key()), *self._held.values()), default=inf)

    def _next_of_each_key(self) -> list[tuple[int, float]]:
        """Return the lowest waiting shard of each key that is not held, and when it may be granted."""
        taken = {self.key_of(shard_id) for shard_id in self._held}
        lowest: dict[int, int] = {}
        asked: dict[int, float] = {}
        for shard_id in sorted(self._waiting):
            key = self.key_of(shard_id)
            if key not in taken:
                lowest.setdefault(key, shard_id)
                asked[key] = min(asked.get(key, inf), self._waiting[shard_id])
        return [(shard_id, max(asked[key], self._free_at.get(key, -inf))) for key, shard_id in lowest.items()]
