"""Waiting for an event, but not for ever."""

import asyncio


async def is_set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event for some seconds, or for as long as it takes; tell whether it came.

    ``asyncio.wait_for`` would do, but before Python 3.12 it swallows a cancellation that comes together with the event,
    and a task that loops around it never ends.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
