"""Signs of life for the supervisor of this worker: it moves, or it is at work on a handler."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from celery import bootsteps
from celery.app import trace
from celery.worker.consumer.connection import Connection
from kombu.utils import functional

from gateway_service.contract import PULSE_FD

_PULSE_S: Final = 1.0
# Where the main thread may stay for as long as it takes: in a handler, and in the tries to reach a broker that is away.
_LONG_STAYS: Final = frozenset({(trace.__file__, "trace_task"), (functional.__file__, "retry_over_time")})


class Pulse:
    """Writes a byte each second in which the worker is alive; a handler that takes long is no lack of life."""

    def __init__(self, descriptor: int) -> None:
        """Take over the writing end of a pipe."""
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._moved = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def move(self) -> None:
        """Note that the worker's loop has had a turn."""
        self._moved.set()

    def _run(self) -> None:
        with suppress(OSError):  # the supervisor is gone, and so are we soon
            while True:
                os.write(self._descriptor, b".")
                time.sleep(_PULSE_S)
                while not (self._moved.is_set() or is_staying(_main_frame())):
                    time.sleep(_PULSE_S)
                self._moved.clear()


def is_staying(frame: FrameType | None) -> bool:
    """Tell whether a thread is where it may stay."""
    return any((each.f_code.co_filename, each.f_code.co_name) in _LONG_STAYS for each in _outwards(frame))


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _main_frame() -> FrameType | None:
    return sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - documented, for debuggers


class FeelPulse(bootsteps.StartStopStep):
    """Notes each turn of the worker's loop; Celery cancels the timer with the connection, and starts us anew."""

    requires = (Connection,)

    def start(self, consumer: Any) -> None:
        if _pulse is not None and consumer.hub is not None:
            _pulse.move()
            consumer.hub.call_repeatedly(_PULSE_S, _pulse.move)


_pulse: Pulse | None = None


def start_pulse() -> None:
    """Begin, where a supervisor wants to know."""
    global _pulse  # noqa: PLW0603 - one process, one pulse
    if _pulse is None and (descriptor := os.environ.pop(PULSE_FD, None)):
        _pulse = Pulse(int(descriptor))
        _pulse.start()
