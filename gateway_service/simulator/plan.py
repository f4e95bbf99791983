"""The plan: which armed faults wait for which moment."""

from dataclasses import dataclass, field
from typing import Final

from gateway_service.simulator.faults import OWN_MOMENT, Abort, ConnectionFault, Fault, Moment

_OF_A_CONNECTION: Final = frozenset(Moment) - {Moment.UPGRADE, Moment.REQUEST}


@dataclass(slots=True)
class Armed:
    """A fault that waits."""

    fault: Fault
    moment: Moment
    shard_id: int | None
    host: str | None
    times: int
    after: int
    """Dispatches of the replay or the guild stream that are written before."""


@dataclass(slots=True)
class FaultPlan:
    """The armed faults, oldest first."""

    _armed: list[Armed] = field(default_factory=list)

    def arm(
        self,
        fault: Fault,
        moment: Moment,
        *,
        shard_id: int | None = None,
        host: str | None = None,
        times: int = 1,
        after: int = 1,
    ) -> None:
        """Let ``fault`` strike the next ``times`` fitting moments.

        Args:
            fault: What happens.
            moment: When.
            shard_id: Only this shard; the shard is not known before IDENTIFY and RESUME.
            host: Only connections that dialled this host name.
            times: How often.
            after: How many dispatches of the replay or the guild stream are written before.

        Raises:
            ValueError: This fault cannot strike at this moment.
        """
        possible = moments_of(fault)
        if moment not in possible:
            where = f"only at {', '.join(sorted(possible))}" if possible else "at once, and cannot be armed"
            raise ValueError(f"{type(fault).__name__} strikes {where}; not at {moment}")
        self._armed.append(Armed(fault, moment, shard_id, host, times, after))

    def take(self, moment: Moment, *, host: str, shard_id: int | None = None) -> Fault | None:
        """Return the fault that strikes now, and count it."""
        armed = self.take_armed(moment, host=host, shard_id=shard_id)
        return None if armed is None else armed.fault

    def take_armed(self, moment: Moment, *, host: str, shard_id: int | None = None) -> Armed | None:
        """Return the fault that strikes now or soon, with how long it waits, and count it."""
        for armed in self._armed:
            if armed.moment is moment and armed.shard_id in (None, shard_id) and armed.host in (None, host):
                armed.times -= 1
                if armed.times <= 0:
                    self._armed.remove(armed)
                return armed
        return None

    def disarm(self) -> None:
        self._armed.clear()


def moments_of(fault: Fault) -> frozenset[Moment]:
    """Return the moments at which a fault can strike; none for those that strike at once."""
    if (own := OWN_MOMENT.get(type(fault))) is not None:
        return frozenset({own})
    if not isinstance(fault, ConnectionFault):
        return frozenset()
    return _OF_A_CONNECTION | {Moment.UPGRADE} if isinstance(fault, Abort) else _OF_A_CONNECTION
