import pytest

from gateway_service.errors import StateUnavailable
from gateway_service.supervisor.bootstrap import claim_shards

WHERE = "sqlite:///state.db"


class State:
    """A store in which another service has shards, for so many questions."""

    def __init__(self, times):
        self.times = times

    def claim(self, shard_ids):
        self.times -= 1
        return frozenset(shard_ids[1:]) if self.times >= 0 else frozenset()


async def test_a_service_that_is_about_to_end_is_waited_for(caplog):
    await claim_shards(State(2), [0, 1, 2], WHERE, patience_s=30.0)

    assert [record.message for record in caplog.records] == ["service.waiting"]


async def test_a_service_that_stays_ends_the_start():
    with pytest.raises(StateUnavailable, match=r"state\.db is not available: another service runs shards 1-2 with it"):
        await claim_shards(State(1000), [0, 1, 2], WHERE, patience_s=0.0)
