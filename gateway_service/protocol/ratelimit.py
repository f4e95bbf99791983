"""How much may be sent: a sliding-window log, never more than the limit in any window (protocol S1, S2)."""

from collections import deque
from math import ceil, inf
from typing import Final

from gateway_service.protocol.constants import SEND_LIMIT, SEND_WINDOW_S

# The server counts when payloads arrive, which is not evenly later than when they were sent.
_JITTER_S: Final = 0.25
# IDENTIFY or RESUME, and two heartbeats that the server asks for.
_RESERVE_MARGIN: Final = 3
# A beat interval below two seconds is a test's; half of the limit stays for commands then.
_MAX_RESERVE: Final = SEND_LIMIT // 2
# Answers to the server's heartbeat requests stop here, so that a flood of them cannot keep IDENTIFY waiting.
_ANSWER_LIMIT: Final = SEND_LIMIT - _RESERVE_MARGIN


class SlidingWindow:
    """Allow ``limit`` events in any ``window_s`` seconds. Remembers when each event leaves the window."""

    __slots__ = ("_expiries", "_limit", "_window_s")

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s + _JITTER_S
        self._expiries: deque[float] = deque(maxlen=limit)

    def count(self, now: float) -> int:
        """Return how many events are in the window that ends now."""
        expiries = self._expiries
        while expiries and expiries[0] <= now:
            expiries.popleft()
        return len(expiries)

    def has_room(self, now: float, reserve: int = 0) -> bool:
        """Tell whether one more event fits while ``reserve`` places stay free."""
        return self.count(now) < self._limit - reserve

    def room_at(self, reserve: int = 0) -> float:
        """Return when :meth:`has_room` becomes true; a moment in the past when it is true already."""
        excess = len(self._expiries) - (self._limit - reserve)
        return -inf if excess < 0 else self._expiries[excess]

    def record(self, now: float) -> None:
        """Count one event."""
        self._expiries.append(now + self._window_s)


class SendLimiter:
    """The send limit of one connection. Heartbeats go first: commands leave them room."""

    __slots__ = ("_reserve", "_window")

    def __init__(self) -> None:
        self._window = SlidingWindow(SEND_LIMIT, SEND_WINDOW_S)
        self._reserve = _MAX_RESERVE

    def reserve_heartbeats(self, interval_s: float) -> None:
        """Keep room for the beats of one window."""
        self._reserve = min(_MAX_RESERVE, ceil(SEND_WINDOW_S / interval_s) + _RESERVE_MARGIN)

    def take_vital(self, now: float) -> bool:
        """Count a heartbeat, IDENTIFY or RESUME; False when even that would break the limit."""
        return self._take(now, 0)

    def take_answer(self, now: float) -> bool:
        """Count an answer to a heartbeat request."""
        return self._take(now, SEND_LIMIT - _ANSWER_LIMIT)

    def take_command(self, now: float) -> bool:
        """Count an operator's command."""
        return self._take(now, self._reserve)

    def command_room_at(self) -> float:
        """Return when the next command may be sent; a moment in the past when it may be sent already."""
        return self._window.room_at(self._reserve)

    def _take(self, now: float, reserve: int) -> bool:
        if not self._window.has_room(now, reserve):
            return False
        self._window.record(now)
        return True
