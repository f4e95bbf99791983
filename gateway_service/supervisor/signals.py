"""The signals of a supervisor: the first to end it asks for a drain, an insisting one ends at once, SIGHUP reloads."""

import asyncio
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gateway_service.supervisor.policy import is_insisting

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """A context manager of the main thread that hands SIGTERM, SIGINT and maybe SIGHUP on, and then ignores them."""

    def __init__(
        self,
        stop: Callable[[signal.Signals], None],
        kill: Callable[[], None],
        hang_up: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; ``stop`` is called for the first signal to end, ``kill`` for an insisting one."""
        self._stop = stop
        self._kill = kill
        self._hang_up = hang_up
        self._loop = asyncio.get_running_loop()
        self._first_at: float | None = None

    def __enter__(self) -> Self:
        for number in _STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._received, number)
        if self._hang_up is not None:
            self._loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in (*_STOP_SIGNALS, *((signal.SIGHUP,) if self._hang_up is not None else ())):
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # all is done: a late one must not spoil the exit code

    @property
    def came(self) -> bool:
        """Tell whether there was a signal."""
        return self._first_at is not None

    def _received(self, number: signal.Signals) -> None:
        now = self._loop.time()
        if self._first_at is None:
            self._first_at = now
            self._stop(number)
        elif is_insisting(number, now - self._first_at):
            self._kill()
