"""An event loop in which waiting for time takes a fiftieth of it.

The shard under test keeps its real timers: 30 s without READY are 0.6 s here. Sockets are real, so this is no virtual
clock: time passes only while the loop waits, and hardly beyond the timer it waits for. However late a busy machine is,
no deadline passes before what was due until then has happened.
"""

import asyncio
import selectors
import time
from typing import Any, Final

SPEED: Final = 50
_POLL_S: Final = 0.5
_RESOLUTION_S: Final = time.get_clock_info("monotonic").resolution


class _FastSelector(selectors.DefaultSelector):
    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed
        self.waited_s = 0.0
        """How much time has passed in the loop."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began_at = time.monotonic()
        ready = super().select(None if timeout is None else timeout / self._speed)
        waited_s = (time.monotonic() - began_at) * self._speed
        # A loop calls back up to one resolution early, and whoever was called waits for the rest: it has to pass.
        self.waited_s += max(_RESOLUTION_S, waited_s if timeout is None else min(waited_s, timeout))
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """Counts ``speed`` seconds for each one that it waits."""

    def __init__(self, speed: float = SPEED) -> None:
        self._fast_selector = _FastSelector(speed)
        super().__init__(self._fast_selector)

    def time(self) -> float:
        return self._fast_selector.waited_s


async def until(condition: Any, *, within_s: float) -> bool:
    """Wait for a condition and tell whether it came true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True
