"""Waiting for what others do, by condition and deadline, never by a fixed time.

Both return the first true answer of ``condition``, and fail when none comes. Only a failing test waits for long.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

TIMEOUT_S = 180.0
POLL_S = 0.01
PROCESS_POLL_S = 0.05  # asking a broker or reading a log costs more than a turn of an event loop
_PATIENT_AFTER_S = 1.0  # what takes so long has to do with processes


async def until(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Wait beside the other tasks of the event loop."""
    began_at = time.monotonic()
    while not (answer := condition()):
        waited_s = time.monotonic() - began_at
        assert waited_s < timeout_s, f"nothing happened within {timeout_s:.0f} s"
        await asyncio.sleep(POLL_S if waited_s < _PATIENT_AFTER_S else PROCESS_POLL_S)
    return answer


def wait_until(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Wait where there is no event loop, for what another process does."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"nothing happened within {timeout_s:.0f} s"
        time.sleep(PROCESS_POLL_S)
    return answer
