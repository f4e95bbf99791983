"""Faults as values, the moments at which they strike, and the plan that arms them.

A fault injected *now* goes straight to the live connections; an armed one waits for its moment. A new kind of
fault is one dataclass here and one ``case`` in the connection.
"""

from dataclasses import dataclass, field
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class AskReconnect:
    """Op 7; the connection is closed with 1001 when the client ignores it."""


@dataclass(frozen=True, slots=True)
class InvalidateSession:
    """Op 9; ``resumable`` is its ``d``."""

    resumable: bool = False


@dataclass(frozen=True, slots=True)
class CloseWith:
    """A close frame; the session stays resumable."""

    code: int = 4000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """The TCP connection is cut without a close frame."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """The connection stays open, accepts what is written and says nothing: half-open TCP."""


@dataclass(frozen=True, slots=True)
class RefuseUpgrade:
    """An HTTP answer in place of the WebSocket upgrade; only at :attr:`Moment.UPGRADE`."""

    status: int = 503
    body: str = "upstream connect error or disconnect/reset before headers"


Fault = AskReconnect | InvalidateSession | CloseWith | Abort | Freeze | RefuseUpgrade


class Moment(Enum):
    """Where an armed fault strikes, in place of what the server would have said."""

    UPGRADE = auto()
    HELLO = auto()
    IDENTIFY = auto()
    """In place of READY."""
    RESUME = auto()
    """In place of the replay."""


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
        """
        if isinstance(fault, RefuseUpgrade) != (moment is Moment.UPGRADE):
            raise ValueError("an upgrade is refused at Moment.UPGRADE, and nothing else happens there")
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
