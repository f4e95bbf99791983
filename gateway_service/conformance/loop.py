"""An event loop in which everything happens ten times as fast.

The shard under test keeps its real timers: 30 s without READY are 3 s here. Sockets are real, so this is no virtual
clock; only what waits for time waits for less of it.
"""

import asyncio
import selectors
from typing import Any, Final

SPEED: Final = 10


class _FastSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / SPEED)


class FastLoop(asyncio.SelectorEventLoop):
    """Counts ten seconds for each one that passes."""

    def __init__(self) -> None:
        super().__init__(_FastSelector())

    def time(self) -> float:
        return super().time() * SPEED


async def until(condition: Any, *, within_s: float) -> bool:
    """Wait for a condition and tell whether it came true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
