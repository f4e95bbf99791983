"""Who asked for the operation that runs: for what it passes on to other supervisors, at once or later."""

from contextvars import ContextVar
from typing import Final

calling: Final = ContextVar("caller", default="")
"""Set around each operation; a task that it starts keeps it."""


def first_caller() -> str:
    """Return who began it, without the supervisors that passed it on."""
    return calling.get().rpartition(" for ")[2]
