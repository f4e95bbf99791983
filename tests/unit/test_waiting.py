import asyncio

import pytest

from gateway_service.waiting import is_set_within


async def test_it_tells_whether_the_event_came():
    event = asyncio.Event()

    assert not await is_set_within(event, 0.0)
    event.set()
    assert await is_set_within(event, None)


async def test_a_cancellation_that_comes_together_with_the_event_is_not_swallowed():
    event = asyncio.Event()
    waiting = asyncio.create_task(is_set_within(event, 60.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    event.set()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
