"""How many IDENTIFYs a bot has left, and when one has to wait. Pure (protocol §8, I5 to I8).

Two accounts bound what is left: what Discord said last, less what was sent since; and the day's limit, less what this
bot's services noted themselves. The smaller one counts. Crossing the limit would end every session and reset the token.
"""

from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf
from typing import Final

from gateway_service.protocol.breaker import IdentifyBreaker
from gateway_service.protocol.constants import DAILY_IDENTIFIES, IDENTIFY_DAY_S
from gateway_service.protocol.identify import HOLD_TIMEOUT_S

# An answer of Discord's is good for so long, and for less where every IDENTIFY counts.
FRESH_S: Final = 900.0
FRESH_NEAR_RESERVE_S: Final = 30.0
MIN_ASK_INTERVAL_S: Final = 15.0
# Bots that wait for the same reset do not all come back at once; and a reset that is due in 0 s is not due at once.
RESET_JITTER_S: Final = 60.0
MIN_RESET_WAIT_S: Final = 60.0


class WaitReason(StrEnum):
    """Why a shard may not IDENTIFY now."""

    EXHAUSTED = "exhausted"
    RESERVE = "reserve"
    BREAKER = "breaker"
    STATE = "state"


WAIT_MEANINGS: Final = {
    WaitReason.EXHAUSTED: "no IDENTIFY is left, and one more would reset the token",
    WaitReason.RESERVE: "the IDENTIFYs that are left are reserved (--force spends them)",
    WaitReason.BREAKER: "it identified too often without a session that lived",
    WaitReason.STATE: "the state store, which counts the IDENTIFYs of the bot, does not answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLimit:
    """Discord's ``session_start_limit``, as it was answered to a question asked at ``asked_at``."""

    total: int
    remaining: int
    reset_after_s: float
    """0 while no window is open."""
    asked_at: float


@dataclass(frozen=True, slots=True)
class Grant:
    """The IDENTIFY may be sent; ``forced`` when it comes out of the reserve."""

    forced: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """The IDENTIFY has to wait, at least until then."""

    until: float
    reason: WaitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is left, and what it is good for."""

    total: int
    remaining: int
    reserve: int
    spent: int
    """Of the present window, by the bot's own services."""
    reset_at: float | None
    """When the window ends, on the clock of ``now``; None while none is open or Discord was not asked."""
    can_restart_all: bool
    """Whether every shard of the bot could IDENTIFY without touching the reserve."""
    breaker_is_open: bool


def reserve_of(total: int, percent: int) -> int:
    """Return how many IDENTIFYs are kept back: never none, as two services may see the last one at the same moment."""
    return max(1, ceil(total * percent / 100))


class IdentifyBudget:
    """Decides about every IDENTIFY of a bot; all times are on one clock that is never set."""

    def __init__(
        self, *, num_shards: int, reserve_percent: int, is_forced: bool = False, rng: Callable[[], float]
    ) -> None:
        """Start with Discord's usual limit and nothing spent.

        Args:
            num_shards: Of the bot.
            reserve_percent: Part of the daily limit that is kept back.
            is_forced: Whether the reserve may be spent.
            rng: Random numbers in [0, 1).
        """
        self._num_shards = num_shards
        self._reserve_percent = reserve_percent
        self._is_forced = is_forced
        self._rng = rng
        self._breaker = IdentifyBreaker(rng)
        self._sent: list[float] = []
        self._limit: StartLimit | None = None
        self._reset_jitter_s = 0.0
        self._asked_at = -inf

    @property
    def total(self) -> int:
        """IDENTIFYs of a day."""
        return DAILY_IDENTIFIES if self._limit is None else self._limit.total

    @property
    def reserve(self) -> int:
        """IDENTIFYs that are kept back."""
        return reserve_of(self.total, self._reserve_percent)

    def asked(self, now: float) -> None:
        """Note that Discord was asked, whatever comes of it."""
        self._asked_at = now

    def learn(self, limit: StartLimit) -> None:
        """Take over what Discord answered."""
        self._limit = limit
        self._asked_at = max(self._asked_at, limit.asked_at)
        self._reset_jitter_s = self._rng() * RESET_JITTER_S

    def sent(self, shard_id: int, num_shards: int, at: float) -> None:
        """Count an IDENTIFY of any service of the bot."""
        insort(self._sent, at)
        del self._sent[: bisect_right(self._sent, self._sent[-1] - IDENTIFY_DAY_S)]
        self._breaker.sent(shard_id, num_shards, at)

    def remaining(self, now: float) -> int:
        """Return how many IDENTIFYs are left for certain."""
        left = self.total - self._spent(now)
        if self._limit is not None:
            left = min(left, self._limit.remaining - self._sent_after(self._answered_up_to))
        return max(0, left)

    def decide(self, shard_id: int, now: float) -> Grant | Wait:
        """Decide whether a shard may IDENTIFY now; nothing is counted yet."""
        remaining = self.remaining(now)
        is_reserved = remaining <= self.reserve
        if remaining <= 0 or (is_reserved and not self._is_forced):
            # When the moment is past, Discord was asked and has not answered.
            until = self._reset_at if self._reset_at > now else now + MIN_RESET_WAIT_S
            return Wait(until, WaitReason.RESERVE if remaining else WaitReason.EXHAUSTED)
        not_before = self._breaker.not_before(shard_id, self._num_shards, self.total - self.reserve, now)
        return Wait(not_before, WaitReason.BREAKER) if not_before > now else Grant(is_reserved)

    def ask_at(self, now: float, *, waiting: int) -> float:
        """Return when Discord has to be asked again, before anything is granted; it may be past."""
        remaining = self.remaining(now)
        if waiting and remaining <= (0 if self._is_forced else self.reserve):
            due = min(max(self._reset_at, self._asked_at + MIN_RESET_WAIT_S), self._asked_at + FRESH_S)
        elif waiting and remaining <= self.reserve + waiting:
            due = self._asked_at + FRESH_NEAR_RESERVE_S
        else:
            due = self._asked_at + FRESH_S
        return max(due, self._asked_at + MIN_ASK_INTERVAL_S)

    def forecast(self, now: float) -> Forecast:
        """Return what an operator wants to know before a restart."""
        remaining = self.remaining(now)
        limit = self._limit
        return Forecast(
            total=self.total,
            remaining=remaining,
            reserve=self.reserve,
            spent=self._spent(now),
            reset_at=limit.asked_at + limit.reset_after_s if limit is not None and limit.reset_after_s else None,
            can_restart_all=remaining - self._num_shards >= self.reserve,
            breaker_is_open=self._breaker.is_open(self.total - self.reserve, now),
        )

    def _spent(self, now: float) -> int:
        """Count the IDENTIFYs of the window that Discord counts in; of the last day while nobody knows it."""
        window_start = now - IDENTIFY_DAY_S
        if self._limit is not None:
            if self._limit.reset_after_s > 0:
                window_start = max(window_start, self._limit.asked_at + self._limit.reset_after_s - IDENTIFY_DAY_S)
            else:
                window_start = max(window_start, self._answered_up_to)
        return self._sent_after(window_start)

    @property
    def _answered_up_to(self) -> float:
        """IDENTIFYs after this moment may be missing in Discord's answer: a permit may be used as late as that."""
        return -inf if self._limit is None else self._limit.asked_at - HOLD_TIMEOUT_S

    def _sent_after(self, at: float) -> int:
        return len(self._sent) - bisect_right(self._sent, at)

    @property
    def _reset_at(self) -> float:
        """When there may be new IDENTIFYs."""
        if self._limit is None:
            return self._sent[0] + IDENTIFY_DAY_S if self._sent else -inf
        return self._limit.asked_at + max(self._limit.reset_after_s, MIN_RESET_WAIT_S) + self._reset_jitter_s
