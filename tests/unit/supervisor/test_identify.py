import asyncio
from math import inf

import pytest

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.identify import IdentifyScheduler
from gateway_service.supervisor.identify import PermitOwner, monotonic_last_sent


class MemoryLog:
    def __init__(self):
        self.keys = []

    def last_sent(self):
        return {}

    def record(self, key, sent_at):
        assert sent_at > 1e9  # a UNIX time
        self.keys.append(key)


class BrokenLog(MemoryLog):
    def record(self, key, sent_at):
        raise StateUnavailable("state.db", f"cannot write {key} at {sent_at:.0f}")


class Permits:
    """A permit owner that runs, and what it granted."""

    def __init__(self, *, max_concurrency=1, spacing_s=0.0, log=None, presence_of=None):
        self.log = log or MemoryLog()
        self.granted = asyncio.Queue()
        self.owner = PermitOwner(
            IdentifyScheduler(max_concurrency, rng=lambda: 0.0, spacing_s=spacing_s),
            self.log,
            presence_of or self.no_presence,
            lambda shard_id, presence: self.granted.put_nowait((shard_id, presence)),
        )

    async def no_presence(self, _shard_id):
        return None

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.owner.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def next(self):
        return await asyncio.wait_for(self.granted.get(), 5)

    async def settle(self):
        """Let everything happen that is due."""
        for _ in range(50):
            await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)


async def test_a_request_is_granted_with_the_presence_of_the_shard():
    async def presence_of(shard_id):
        return {"status": f"of {shard_id}"}

    async with Permits(presence_of=presence_of) as permits:
        permits.owner.request(3)

        assert await permits.next() == (3, {"status": "of 3"})


async def test_the_use_of_a_key_is_written_down_before_the_permit_goes_out():
    async with Permits(max_concurrency=4) as permits:
        permits.owner.request(7)
        await permits.next()

        assert permits.log.keys == [3]


async def test_a_key_is_held_until_the_identify_was_sent():
    async with Permits() as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()
        await permits.settle()
        assert permits.granted.empty()
        assert permits.owner.waiting == 1

        permits.owner.sent(0)

        assert (await permits.next())[0] == 1


async def test_a_cancelled_request_is_not_granted():
    async with Permits() as permits:
        permits.owner.request(0)
        permits.owner.cancel(0)
        permits.owner.request(1)

        assert (await permits.next())[0] == 1


async def test_an_unused_permit_goes_to_the_next_shard():
    async with Permits(spacing_s=inf) as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()

        permits.owner.cancel(0)

        assert (await permits.next())[0] == 1


async def test_a_permit_that_a_dead_shard_held_counts_as_used():
    async with Permits(spacing_s=3600.0) as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()

        permits.owner.gone([0])
        await permits.settle()

        assert permits.granted.empty()


async def test_a_request_of_a_dead_shard_is_dropped_and_costs_nothing():
    async with Permits(spacing_s=3600.0) as permits:
        permits.owner.request(0)
        permits.owner.gone([0])
        permits.owner.request(1)

        assert (await permits.next())[0] == 1


async def test_a_shard_that_died_while_its_presence_was_asked_for_gets_no_permit():
    asked, answered = asyncio.Event(), asyncio.Event()

    async def presence_of(_shard_id):
        asked.set()
        await answered.wait()

    async with Permits(max_concurrency=2, presence_of=presence_of) as permits:
        permits.owner.request(0)
        await asked.wait()
        permits.owner.gone([0])
        permits.owner.request(1)
        answered.set()

        assert (await permits.next())[0] == 1
        assert permits.granted.empty()


async def test_a_log_that_cannot_be_written_is_told_and_stops_nobody(caplog):
    async with Permits(log=BrokenLog()) as permits:
        permits.owner.request(0)

        assert (await permits.next())[0] == 0

    assert "cannot write" in caplog.records[0].event_fields["reason"]


@pytest.mark.parametrize(
    ("sent_at", "max_concurrency", "translated"),
    [
        ({}, 1, {}),
        ({0: 995.0}, 1, {0: 45.0}),
        ({0: 2000.0}, 1, {0: 50.0}),  # the clock was set back
        ({0: 990.0, 1: 995.0}, 2, {0: 40.0, 1: 45.0}),
        ({0: 990.0, 1: 995.0, 2: 999.0}, 2, {0: 49.0, 1: 45.0}),
    ],
    ids=["nothing", "past", "future", "keys", "fewer keys"],
)
def test_times_of_an_earlier_process_are_translated_to_this_clock(sent_at, max_concurrency, translated):
    assert monotonic_last_sent(sent_at, max_concurrency=max_concurrency, wall_now=1000.0, now=50.0) == translated
