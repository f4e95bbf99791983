"""The ladder: where dispatches are while the broker does not take them. Pure; docs/reliability.md has it as a table."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Self

# A broker that confirms at all does so within milliseconds, on a slow network of replicas within tenths of a second;
# and a process that starts has the first dispatches before it has connected.
LATE_AFTER_S: Final = 1.0
# Long enough to sit out a hiccup in memory, short enough that a crash in an outage leaves Discord little to replay.
SPOOL_AFTER_S: Final = 5.0


class Rung(StrEnum):
    """How far down the ladder a shard or a process is; the members are in order."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member

    CONFIRMING = "confirming", "the broker confirms as fast as dispatches come"
    LAGGING = "lagging", "the broker is connected and its confirms are late"
    MEMORY = "memory", "the broker is down or takes nothing, and dispatches have waited in memory for a second"
    SPOOL = "spool", "dispatches wait on disk, the newest in memory; they go out in order before anything newer"
    SUSPENDED = (
        "suspended",
        "memory and spool are full; the shard left its connection resumably and Discord keeps the rest",
    )


def rung_of(*, is_suspended: bool, spool_rows: int, pending: int, is_broker_up: bool, confirm_lag_s: float) -> Rung:
    """Return the rung of a shard or a process.

    Args:
        is_suspended: It left its connection for want of room.
        spool_rows: Its dispatches on disk.
        pending: Its dispatches that are neither confirmed nor on disk.
        is_broker_up: The broker is connected and takes messages.
        confirm_lag_s: Age of its oldest unconfirmed dispatch.
    """
    if is_suspended:
        return Rung.SUSPENDED
    if spool_rows:
        return Rung.SPOOL
    if not pending or confirm_lag_s < LATE_AFTER_S:
        return Rung.CONFIRMING
    return Rung.LAGGING if is_broker_up else Rung.MEMORY


_ORDER: Final = {rung: index for index, rung in enumerate(Rung)}


def lowest(rungs: Iterable[Rung]) -> Rung:
    """Return the rung that is farthest down; CONFIRMING when there is none."""
    return max(rungs, key=_ORDER.__getitem__, default=Rung.CONFIRMING)


def is_lower(rung: Rung, other: Rung) -> bool:
    """Tell whether ``rung`` is farther down than ``other``."""
    return _ORDER[rung] > _ORDER[other]


def should_spool(*, pending_bytes: int, max_bytes: int, stalled_s: float) -> bool:
    """Tell whether the oldest dispatches in memory have to go to the disk.

    Args:
        pending_bytes: What is in memory.
        max_bytes: What may be.
        stalled_s: How long something has waited and nothing was confirmed.
    """
    return pending_bytes > 0 and (stalled_s >= SPOOL_AFTER_S or 2 * pending_bytes >= max_bytes)
