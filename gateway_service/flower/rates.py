"""Dispatches per second of one shard, from a counter that is seen now and then. Pure."""

from collections import deque
from typing import Final

KEPT: Final = 30
# A change of state sends an event at once: two that are close together would make a rate of nothing or of thousands.
MIN_INTERVAL_S: Final = 1.0


class Rates:
    """The last :data:`KEPT` rates of a counter."""

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=KEPT)
        self._counted: int | None = None
        self._at = 0.0

    def see(self, counted: int, at: float) -> None:
        """Take the counter as it was at ``at`` (UNIX seconds); one that went back belongs to a new process."""
        if self._counted is not None and counted >= self._counted:
            if at - self._at < MIN_INTERVAL_S:
                return
            self._rates.append(round((counted - self._counted) / (at - self._at), 1))
        self._counted, self._at = counted, at

    @property
    def all(self) -> list[float]:
        return [*self._rates]

    @property
    def now(self) -> float:
        return self._rates[-1] if self._rates else 0.0
