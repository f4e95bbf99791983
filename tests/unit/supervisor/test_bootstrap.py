import pytest

from gateway_service.errors import BrokerUnavailable, StateUnavailable
from gateway_service.supervisor.bootstrap import claim_shards, require_broker, warn_of_eviction

WHERE = "sqlite:///state.db"


class State:
    """A store in which another service has shards, for so many questions."""

    def __init__(self, times):
        self.times = times

    def claim(self, shard_ids):
        self.times -= 1
        return frozenset(shard_ids[1:]) if self.times >= 0 else frozenset()


async def test_a_service_that_is_about_to_end_is_waited_for(caplog):
    await claim_shards(State(2), [0, 1, 2], WHERE, patience_s=30.0, retry_s=0.0)

    assert [record.message for record in caplog.records] == ["service.waiting"]


async def test_a_service_that_stays_ends_the_start():
    with pytest.raises(StateUnavailable, match=r"state\.db is not available: another service runs shards 1-2 with it"):
        await claim_shards(State(1000), [0, 1, 2], WHERE, patience_s=0.0)


class Store:
    """A store that drops what it has by this policy, if any."""

    def __init__(self, eviction_policy):
        self.eviction_policy = eviction_policy


def test_a_store_that_evicts_is_told_with_the_cure(caplog):
    warn_of_eviction(Store("volatile-ttl"), WHERE)
    warn_of_eviction(Store(None), WHERE)

    [record] = caplog.records
    assert record.message == "state.evicts"
    assert record.event_fields == {
        "url": WHERE,
        "reason": "its maxmemory-policy is volatile-ttl; set it to noeviction",
    }


class Sessions:
    """A store that has the sessions of these shards."""

    def __init__(self, *shard_ids):
        self.shard_ids = shard_ids

    def load(self, shard_id):
        return object() if shard_id in self.shard_ids else None


async def no_broker():
    raise BrokerUnavailable("broker", "refused")


async def test_a_first_start_without_a_broker_is_refused():
    with pytest.raises(BrokerUnavailable):
        await require_broker(no_broker(), Sessions(7), [0, 1])


async def test_sessions_do_not_expire_because_the_broker_is_away(caplog):
    await require_broker(no_broker(), Sessions(1), [0, 1])

    [record] = caplog.records
    assert record.message == "service.without_broker"
    assert record.event_fields["sessions"] == 1
