"""How old dispatches are when a worker takes them: how long its queues are, in time."""

import time
from typing import Any, Final

_ATTRIBUTE: Final = "gateway_ages"


class Ages:
    """Counted in the main process of a worker, which takes every message and serves the metrics."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_s = 0.0

    def observe(self, received_at: object) -> None:
        """Count a message that the gateway received at this UNIX time; what is no time is passed over."""
        if isinstance(received_at, int | float):
            self.count += 1
            self.sum_s += max(0.0, time.time() - received_at)  # the clocks of two hosts


def ages_of(app: Any) -> Ages:
    """Return those of an application."""
    if not hasattr(app, _ATTRIBUTE):
        setattr(app, _ATTRIBUTE, Ages())
    ages: Ages = getattr(app, _ATTRIBUTE)
    return ages
