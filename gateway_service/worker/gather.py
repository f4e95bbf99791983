"""One verdict on a broker message from the verdicts of the N tasks that run from it."""

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Any


class Verdict(IntEnum):
    """What becomes of a message; of several verdicts the greatest counts."""

    ACKNOWLEDGED = 0
    DEAD = 1
    REQUEUED = 2
    """It is given out again, to all its handlers."""


Settle = Callable[..., None]
"""``(logger, connection_errors)`` to acknowledge, ``(logger, connection_errors, requeue)`` to reject, as in Celery."""


class Gather:
    """Settle the broker message when every task that runs from it is settled, and not before.

    Tasks of a thread pool settle from their own threads.
    """

    def __init__(self, parts: int, acknowledge: Settle, reject: Settle) -> None:
        self._open = parts
        self._worst = Verdict.ACKNOWLEDGED
        self._lock = threading.Lock()
        self._acknowledge = acknowledge
        self._reject = reject

    def settle(self, verdict: Verdict, logger: Any, errors: Any) -> None:
        """Count one task as settled.

        Args:
            verdict: What this task would have done with a message of its own.
            logger: For what goes wrong on the way to the broker.
            errors: Exceptions that mean a lost connection.
        """
        with self._lock:
            self._open -= 1
            self._worst = max(self._worst, verdict)
            if self._open:
                return
        if self._worst is Verdict.ACKNOWLEDGED:
            self._acknowledge(logger, errors)
        else:
            self._reject(logger, errors, self._worst is Verdict.REQUEUED)


Again = Callable[[], Verdict | None]
"""Makes a run again, apart from its siblings, and returns what that means for the shared message; None when the run
goes on under the same :class:`Gather`, with another :class:`Part`."""


class Part:
    """The acknowledge and reject that one of the tasks gets; only its first verdict counts."""

    def __init__(self, gather: Gather, again: Again | None = None) -> None:
        """Make the part of one task.

        Args:
            gather: What it is a part of.
            again: What to do when the run has to be made again: its process was lost, or the handler asked for it.
                Without it the broker gives out the message again.
        """
        self._gather: Gather | None = gather
        self._again = again

    def acknowledge(self, logger: Any, errors: Any) -> None:
        self._settle(Verdict.ACKNOWLEDGED, logger, errors)

    def reject(self, logger: Any, errors: Any, requeue: bool = False) -> None:
        if self._gather is None:
            return
        verdict: Verdict | None = Verdict.REQUEUED if requeue else Verdict.DEAD
        if requeue and self._again is not None:
            verdict = self._again()
        if verdict is None:
            self._gather = None
        else:
            self._settle(verdict, logger, errors)

    def _settle(self, verdict: Verdict, logger: Any, errors: Any) -> None:
        gather, self._gather = self._gather, None
        if gather is not None:
            gather.settle(verdict, logger, errors)
