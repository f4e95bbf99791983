"""How late interactions reach their handlers: one histogram for a worker, its pool processes included."""

import mmap
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Final

from billiard import current_process
from celery.worker.control import inspect_command

BUCKETS_S: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0)
"""Upper bounds; Discord waits three seconds for an answer."""

_COUNTS: Final = len(BUCKETS_S) + 1
_SUM: Final = _COUNTS
_EXPIRED: Final = _COUNTS + 1
_ROW: Final = _COUNTS + 2
_DOUBLE_BYTES: Final = 8
# Pool processes beyond that share rows, and may lose a count when they write at the same moment.
_ROWS: Final = 256

_ATTRIBUTE: Final = "gateway_lateness"


@dataclass(frozen=True, slots=True)
class Counts:
    """What was measured since the worker started."""

    counts: tuple[int, ...]
    """Runs by bucket, not added up; the last bucket has no bound."""
    sum_s: float
    expired: int
    """Interactions that came too late to be handled; they are among the counts."""


class Lateness:
    """Written by each process into a row of its own, in memory that a fork shares: nobody waits for anybody."""

    def __init__(self) -> None:
        self._rows = memoryview(mmap.mmap(-1, _ROWS * _ROW * _DOUBLE_BYTES)).cast("d")

    def observe(self, age_s: float) -> None:
        """Count a run that begins ``age_s`` seconds after Discord made the interaction."""
        row = self._row()
        self._rows[row + bisect_left(BUCKETS_S, age_s)] += 1
        self._rows[row + _SUM] += age_s

    def expire(self) -> None:
        """Count an interaction that is not handled because it is too old."""
        self._rows[self._row() + _EXPIRED] += 1

    def read(self) -> Counts:
        """Add up what all processes wrote."""
        totals = [sum(self._rows[at::_ROW]) for at in range(_ROW)]
        return Counts(tuple(map(int, totals[:_COUNTS])), totals[_SUM], int(totals[_EXPIRED]))

    def _row(self) -> int:
        # A process that replaces a dead one has its index, and goes on with its row.
        index: int = getattr(current_process(), "index", _ROWS - 1)
        return index % _ROWS * _ROW


def lateness_of(app: Any) -> Lateness:
    """Return the histogram of an application; it must be made before the pool forks."""
    if not hasattr(app, _ATTRIBUTE):
        setattr(app, _ATTRIBUTE, Lateness())
    lateness: Lateness = getattr(app, _ATTRIBUTE)
    return lateness


@inspect_command(name="interaction_lateness")
def interaction_lateness(state: Any) -> dict[str, Any]:
    """How many interactions began how late, in seconds after Discord made them."""
    measured = lateness_of(state.app).read()
    bounds = (*(f"<= {bound:g} s" for bound in BUCKETS_S), f"> {BUCKETS_S[-1]:g} s")
    return {
        "late": dict(zip(bounds, measured.counts, strict=True)),
        "sum_s": round(measured.sum_s, 3),
        "expired": measured.expired,
    }
