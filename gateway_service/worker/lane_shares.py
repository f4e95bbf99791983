"""Which lanes a worker takes and which it leaves to others, decided from what the broker tells. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane queue at one moment."""

    consumers: int
    """1 when a worker holds it."""
    ready: int = 0
    """Messages that wait in it."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What to do now."""

    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


def share_out(held: Collection[str], lanes: Mapping[str, LaneState], workers: int, chance: float) -> Moves:
    """Decide what a worker does so that all of them come to hold equally many lanes.

    Args:
        held: Queues of the lanes that this worker holds.
        lanes: Every lane queue.
        workers: How many workers share them, this one included.
        chance: A random number from 0 to below 1: where to begin, so that workers do not all reach for the same lane.

    Returns:
        Free lanes to take, up to the share of one worker; lanes to leave beyond it.
    """
    share = -(-len(lanes) // max(1, workers))
    names = sorted(lanes)
    start = int(chance * len(names))
    rotated = names[start:] + names[:start]
    kept = [name for name in rotated if name in held]
    free = [name for name in rotated if name not in held and lanes[name].consumers == 0]
    return Moves(take=tuple(free[: max(0, share - len(kept))]), leave=tuple(kept[share:]))
