"""The event loop of the conformance run."""

import asyncio

from gateway_service.conformance.loop import FastLoop

TURNS = 1000


def test_waiting_takes_a_fraction_of_the_time():
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        loop = runner.get_loop()
        began_at = loop.time()
        runner.run(asyncio.sleep(0.5))

        assert 0.5 <= loop.time() - began_at < 0.6


def test_time_passes_for_a_timer_that_came_early_on_a_loop_that_always_has_work():
    async def turns_until_due():
        loop = asyncio.get_running_loop()
        due_at = loop.time() + 0.1
        due = asyncio.Event()

        def look():
            if loop.time() >= due_at:
                due.set()
            else:
                loop.call_later(0, look)

        loop.call_at(due_at - 1e-10, look)
        await asyncio.sleep(0.1 - 1e-10)
        for turn in range(TURNS):
            if due.is_set():
                return turn
            await asyncio.sleep(0)
        return TURNS

    with asyncio.Runner(loop_factory=FastLoop) as runner:
        assert runner.run(turns_until_due()) < TURNS
