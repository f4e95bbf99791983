"""Task events as Celery's dispatcher sends them, at a fraction of its cost."""

import time
from typing import Any, Final

from celery.utils.time import utcoffset

_GROUP: Final = "task"
# All of one turn of the loop, as a rule; Celery's 24 are those of eight runs, and publishing is what costs.
_MAX_BUFFERED: Final = 192


class Announcements:
    """Tells monitors what becomes of the runs of one task.

    Buffer, order, clock and publishing are those of Celery's event dispatcher. It publishes between two turns of the
    event loop, and in a solo pool a whole run lies within one turn: only the last event of a run has to ask for that.
    """

    def __init__(self, eventer: Any, task: Any) -> None:
        self._eventer = eventer
        self._task = task

    @property
    def is_on(self) -> bool:
        """Whether events of the task are wanted at this moment."""
        return bool(self._eventer and self._eventer.enabled and self._task.send_events)

    def add(self, kind: str, fields: dict[str, Any]) -> None:
        """Announce a step that another one will follow."""
        if not self.is_on:
            return
        eventer = self._eventer
        if _GROUP not in eventer.buffer_group:
            eventer.send(kind, **fields)
            return
        if eventer.groups and _GROUP not in eventer.groups:
            return
        buffer = eventer._group_buffer[_GROUP]  # noqa: SLF001 - what EventDispatcher.send fills
        buffer.append(
            {
                "type": kind,
                "timestamp": time.time(),
                "hostname": eventer.hostname,
                "utcoffset": utcoffset(),
                "pid": eventer.pid,
                "clock": eventer.clock.forward(),
                **fields,
            }
        )
        if len(buffer) >= _MAX_BUFFERED:
            eventer.flush()

    def finish(self, kind: str, fields: dict[str, Any]) -> None:
        """Announce the last step of a run."""
        self.add(kind, fields)
        if self.is_on and self._eventer.on_send_buffered is not None:
            self._eventer.on_send_buffered()
