"""Pacing of IDENTIFY: whose turn it is, when. Pure; each supervisor has one for its own shards (protocol §8).

Between supervisors the store decides. Who has just had a key waits longer for it than the store asks, by the jitter, so
that others who wait for it go first.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from gateway_service.protocol.constants import IDENTIFY_JITTER_S, IDENTIFY_SPACING_S

# A shard sends IDENTIFY as soon as the permit arrives, and Discord answers within a second or two. Who is silent for so
# long may have sent it and died; and a Discord that is so slow must not hold the other shards back as well.
HOLD_TIMEOUT_S: Final = 15.0


class IdentifyScheduler:
    """Grant permits: one per key and spacing, lowest shard id first; key = shard_id % max_concurrency (I1, I2).

    A key is held from the grant until ``answered`` or ``cancel``. Without either, the IDENTIFY counts as answered when
    the hold times out.

    Discord spaces what it gets, not what we send. It got an IDENTIFY by the time it answers, so counting from there is
    right however slow the way and however busy Discord is; counting from the sending, a slow second IDENTIFY would be
    early (I3).
    """

    def __init__(
        self,
        max_concurrency: int,
        *,
        rng: Callable[[], float],
        spacing_s: float = IDENTIFY_SPACING_S,
    ) -> None:
        """Start with every key free.

        Args:
            max_concurrency: What Discord allows at once; less than 1 counts as 1.
            rng: Random numbers in [0, 1).
            spacing_s: Seconds between two IDENTIFYs of one key, counted from the answer to the first.
        """
        self._max_concurrency = max(1, max_concurrency)
        self._rng = rng
        self._spacing_s = spacing_s
        self._waiting: dict[int, float] = {}  # shard id -> it may have its turn
        self._held: dict[int, float] = {}  # shard id -> hold ends
        # By shard, not by key: which shards share a key changes with the concurrency.
        self._free_at: dict[int, float] = {}

    @property
    def max_concurrency(self) -> int:
        return self._max_concurrency

    def set_max_concurrency(self, max_concurrency: int) -> None:
        """Go on with what Discord allows now; what was sent keeps spacing the keys of today."""
        self._max_concurrency = max(1, max_concurrency)

    @property
    def waiting(self) -> tuple[int, ...]:
        """The shards that wait for a permit, lowest first."""
        return tuple(sorted(self._waiting))

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

    def postpone(self, shard_id: int, until: float) -> None:
        """Let a shard whose turn it was wait at least ``until``; its key goes to the next."""
        if self._held.pop(shard_id, None) is not None:
            self._waiting[shard_id] = until

    def reconsider(self, now: float) -> None:
        """Give all that were postponed a turn again: what they waited for may have changed."""
        self._waiting = {shard_id: min(at, now) for shard_id, at in self._waiting.items()}

    def answered(self, shard_id: int, now: float) -> None:
        """Start the spacing of the shard's key: Discord answered its IDENTIFY, or never will."""
        self._held.pop(shard_id, None)
        free_at = now + self._spacing_s + self._rng() * IDENTIFY_JITTER_S
        self._free_at[shard_id] = max(free_at, self._free_at.get(shard_id, free_at))

    def is_held(self, shard_id: int) -> bool:
        """Tell whether a shard still has the turn that :meth:`due` gave it."""
        return shard_id in self._held

    def taken_elsewhere(self, shard_id: int, until: float) -> None:
        """Queue a shard again whose key another service has until then."""
        if self._held.pop(shard_id, None) is not None:
            self._waiting[shard_id] = until
            self._free_at[shard_id] = max(until, self._free_at.get(shard_id, until))

    def due(self, now: float) -> list[int]:
        """Return the shards that may IDENTIFY now, lowest first; each holds its key from here on."""
        for shard_id, ends in list(self._held.items()):
            if ends <= now:
                self.answered(shard_id, now)
        granted = [shard_id for shard_id, at in self._next_of_each_key(now) if at <= now]
        for shard_id in granted:
            del self._waiting[shard_id]
            self._held[shard_id] = now + HOLD_TIMEOUT_S
        return granted

    @property
    def next_deadline(self) -> float:
        """When :meth:`due` has to be called again; infinity while nobody waits and nothing is held."""
        return min((*(at for _, at in self._next_of_each_key(-inf)), *self._held.values()), default=inf)

    def _next_of_each_key(self, now: float) -> list[tuple[int, float]]:
        """Return who is next for each key that is not held, and when: of those that may by ``now`` the lowest."""
        taken = {self.key_of(shard_id) for shard_id in self._held}
        free_at: dict[int, float] = {}
        for shard_id, at in self._free_at.items():
            free_at[self.key_of(shard_id)] = max(at, free_at.get(self.key_of(shard_id), at))
        turns: dict[int, tuple[float, int]] = {}
        for shard_id, may_at in self._waiting.items():
            key = self.key_of(shard_id)
            if key not in taken:
                turn = (max(may_at, free_at.get(key, -inf), now), shard_id)
                turns[key] = min(turn, turns.get(key, turn))
        return sorted((shard_id, at) for at, shard_id in turns.values())
