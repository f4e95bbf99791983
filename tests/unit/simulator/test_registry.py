import pytest

from gateway_service.contract import session_hash
from gateway_service.protocol.constants import ALL_INTENTS, Intents
from gateway_service.simulator.config import SimulatorConfig
from gateway_service.simulator.registry import SessionRegistry, task_ids

GUILD = 5 << 22  # shard 1 of 2, shard 2 of 3


@pytest.fixture
def registry():
    return SessionRegistry(SimulatorConfig(session_ttl_s=60))


def open_session(registry, shard_id, num_shards, intents=ALL_INTENTS):
    return registry.open(shard_id=shard_id, num_shards=num_shards, intents=int(intents))


def test_a_guild_belongs_to_one_shard_of_each_count(registry):
    two = [open_session(registry, shard_id, 2) for shard_id in range(2)]
    three = [open_session(registry, shard_id, 3) for shard_id in range(3)]
    assert registry.owners(GUILD) == [two[1], three[2]]


def test_without_a_guild_shard_0_is_the_owner(registry):
    two = [open_session(registry, shard_id, 2) for shard_id in range(2)]
    assert registry.owners(None) == [two[0]]


def test_the_same_shard_twice_gets_a_copy_each(registry):
    twins = [open_session(registry, 0, 1), open_session(registry, 0, 1)]
    assert registry.owners(GUILD) == twins
    assert registry.dispatch("EVENT", b"1", GUILD, 0.0) == 2


def test_an_ended_session_gets_nothing(registry):
    session = open_session(registry, 0, 1)
    registry.end(session)
    registry.end(session)
    assert registry.dispatch("EVENT", b"1", GUILD, 0.0) == 0


def test_a_dispatch_needs_its_intent(registry):
    session = open_session(registry, 0, 1, Intents.GUILDS)
    assert registry.dispatch("MESSAGE_CREATE", b"1", GUILD, 0.0) == 0
    assert registry.dispatch("CHANNEL_UPDATE", b"1", GUILD, 0.0) == 1
    assert session.last_seq == 1


def test_content_needs_its_intent(registry):
    full = open_session(registry, 0, 1)
    bare = open_session(registry, 0, 1, Intents.GUILD_MESSAGES)
    registry.dispatch("MESSAGE_CREATE", b"full", GUILD, 0.0, stripped=b"bare")
    assert (full.entry(1).body, bare.entry(1).body) == (b"full", b"bare")


def test_sessions_expire(registry):
    session = open_session(registry, 0, 1)
    session.detached_at = 10.0
    assert registry.find(session.session_id, 70.0) is session
    assert registry.find(session.session_id, 70.1) is None


def test_sent_and_dispatched_differ_by_what_waits(registry):
    session = open_session(registry, 0, 1)
    for _ in range(3):
        registry.dispatch("EVENT", b"1", GUILD, 0.0)
    session.sent_seq = 2
    name = session_hash(session.session_id)
    assert task_ids(registry.sent_ranges()) == {f"{name}-1", f"{name}-2"}
    assert task_ids(registry.dispatched_ranges()) == {f"{name}-1", f"{name}-2", f"{name}-3"}


def test_an_ended_session_keeps_what_was_sent(registry):
    session = open_session(registry, 0, 1)
    for _ in range(3):
        registry.dispatch("EVENT", b"1", GUILD, 0.0)
    session.sent_seq = 2
    registry.end(session)
    assert len(task_ids(registry.sent_ranges())) == len(task_ids(registry.dispatched_ranges())) == 2


def test_a_session_that_nobody_resumes_does_not_hold_traffic_up(registry):
    left = open_session(registry, 0, 1)
    for _ in range(3):
        registry.dispatch("EVENT", b"1", GUILD, 0.0)
    assert registry.backlog() == 3
    open_session(registry, 0, 1)
    assert left.backlog == 3
    assert registry.backlog() == 0


def test_no_session_no_backlog(registry):
    assert registry.backlog() == 0
