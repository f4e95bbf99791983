"""The plan: which armed faults wait for which moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway_service.simulator.faults import CutChunks, Fault, LimitRequest, LoseIntents, Moment, RefuseUpgrade

# Whoever is not named here strikes where a connection says something.
_MOMENTS_OF: Final[Mapping[type, frozenset[Moment]]] = {
    LoseIntents: frozenset(),
    RefuseUpgrade: frozenset({Moment.UPGRADE}),
    LimitRequest: frozenset({Moment.REQUEST}),
    CutChunks: frozenset({Moment.REQUEST}),
}
_OF_A_CONNECTION: Final = frozenset({Moment.HELLO, Moment.IDENTIFY, Moment.RESUME})


@dataclass(slots=True)
class _Armed:
    fault: Fault
    moment: Moment
    shard_id: int | None
    host: str | None
    times: int


@dataclass(slots=True)
class FaultPlan:
    """The armed faults, oldest first."""

    _armed: list[_Armed] = field(default_factory=list)

    def arm(
        self,
        fault: Fault,
        moment: Moment,
        *,
        shard_id: int | None = None,
        host: str | None = None,
        times: int = 1,
    ) -> None:
        """Let ``fault`` strike the next ``times`` fitting moments.

        Args:
            fault: What happens.
            moment: When.
            shard_id: Only this shard; the shard is not known before IDENTIFY and RESUME.
            host: Only connections that dialled this host name.
            times: How often.

        Raises:
            ValueError: This fault cannot strike at this moment.
        """
        possible = _MOMENTS_OF.get(type(fault), _OF_A_CONNECTION)
        if moment not in possible:
            where = f"only at {', '.join(sorted(possible))}" if possible else "at once, and cannot be armed"
            raise ValueError(f"{type(fault).__name__} strikes {where}; not at {moment}")
        self._armed.append(_Armed(fault, moment, shard_id, host, times))

    def take(self, moment: Moment, *, host: str, shard_id: int | None = None) -> Fault | None:
        """Return the fault that strikes now, and count it."""
        for armed in self._armed:
            if armed.moment is moment and armed.shard_id in (None, shard_id) and armed.host in (None, host):
                armed.times -= 1
                if armed.times <= 0:
                    self._armed.remove(armed)
                return armed.fault
        return None

    def disarm(self) -> None:
        self._armed.clear()
