"""What ``on(...)`` puts around a handler: interactions in time, once for each dispatch, deferred."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from gateway_service.worker.interactions import EXPIRES_S, INTERACTION_CREATE, deferring, in_time
from gateway_service.worker.once import KEEP_S, once_per_dispatch

Defer = bool | Literal["private"]
TaskFunction = Callable[..., Any]

DEFAULT_EXPIRES_S: Final = EXPIRES_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The guards of one handler; each field is an attribute of its task."""

    once_keep_s: float | None = None
    """How long a run that was made is remembered; None for handlers that may run more than once."""
    expires_s: float | None = DEFAULT_EXPIRES_S
    """The age at which an interaction is let go; None means never."""
    defer: Defer = False
    """Tell Discord before each run that an answer follows; ``"private"`` when only its maker shall see it."""

    def attributes(self) -> dict[str, Any]:
        return asdict(self)

    def around(self, run: TaskFunction, events: Sequence[str]) -> TaskFunction:
        """Return ``run`` with the guards it needs; the last one put on is the first to be asked."""
        is_for_interactions = INTERACTION_CREATE in events
        if self.defer and is_for_interactions:
            run = deferring(run)
        if self.once_keep_s is not None:
            run = once_per_dispatch(run)
        return in_time(run) if is_for_interactions else run


def guards_of(
    events: Sequence[str], *, once: bool, once_keep_s: float = KEEP_S, expires_s: float | None, defer: Defer
) -> Guards:
    """Return the guards that a handler asks for.

    Raises:
        TypeError: It asks for what only interactions have, and is not for them.
    """
    if (defer or expires_s != DEFAULT_EXPIRES_S) and INTERACTION_CREATE not in events:
        raise TypeError(f"defer and expires_s are for handlers of {INTERACTION_CREATE}")
    return Guards(once_keep_s=once_keep_s if once else None, expires_s=expires_s, defer=defer)
