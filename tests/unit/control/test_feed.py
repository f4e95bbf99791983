"""The stream of changes: all shards, then news, for readers of any speed."""

import asyncio
from contextlib import aclosing, asynccontextmanager

from gateway_service.control.feed import Feed
from gateway_service.control.local import Host
from tests.support.fleet import FakeFleet, shard
from tests.support.waiting import until

NEVER = 3600.0


@asynccontextmanager
async def feeding(*shards):
    fleet = FakeFleet(*shards)
    feed = Feed(Host(fleet, "gateway@here", lambda _reason: None), poll_s=0.0)
    running = asyncio.create_task(feed.run())
    try:
        yield fleet, feed
    finally:
        running.cancel()


async def test_every_shard_comes_once_and_then_what_changed():
    async with feeding(shard(0), shard(1)) as (fleet, feed), aclosing(feed.changes(NEVER)) as changes:
        first = [await anext(changes), await anext(changes)]
        fleet.change(1, state="resuming")
        news = await anext(changes)

    assert [(each["shard_id"], each["state"]) for each in first] == [(0, "live"), (1, "live")]
    assert (news["shard_id"], news["state"]) == (1, "resuming")


async def test_silence_is_told():
    async with feeding(shard(0)) as (_, feed), aclosing(feed.changes(0.01)) as changes:
        await anext(changes)

        assert await anext(changes) is None
        assert await anext(changes) is None


async def test_a_slow_reader_gets_the_newest_state_of_each_shard():
    async with feeding(shard(0), shard(1)) as (fleet, feed), aclosing(feed.changes(NEVER)) as changes:
        await anext(changes)
        seen = []
        stop = feed.listen(lambda now, _changed: seen.append([view.state for view in now.values()]))
        for states in (["resuming", "live"], ["identifying", "resuming"]):
            fleet.change(0, state=states[0])
            fleet.change(1, state=states[1])
            await until(lambda states=states: states in seen)
        stop()

        await anext(changes)
        news = [await anext(changes), await anext(changes)]

    assert [each["state"] for each in news] == ["identifying", "resuming"]


async def test_who_reads_no_more_is_forgotten():
    async with feeding(shard(0)) as (_, feed):
        changes = feed.changes(NEVER)
        await anext(changes)
        await changes.aclose()
        looked = []
        stop = feed.listen(lambda _now, _changed: looked.append(len(feed._listeners)))
        await until(lambda: looked)
        stop()

    assert looked[-1] == 1
