import pytest

from gateway_service.flower.shard_store import FORGET_AFTER_S, ShardStore, is_stale


def event(shard_id, **fields):
    return {
        "shard_id": shard_id,
        "host": "gateway@a",
        "state": "live",
        "since": 50.0,
        "session": "s1",
        "received": 10,
        "published": 8,
        "freq": 5.0,
        "hostname": f"shard-{shard_id}@a",
    } | fields


def test_only_news_is_told():
    store = ShardStore()
    store.put(event(0), now=100.0)
    store.put(event(1), now=100.0)
    known = store.version
    store.put(event(1, state="resuming"), now=101.0)

    assert [row["shard_id"] for row in store.changes(0, now=101.0)] == [0, 1]
    assert [(row["shard_id"], row["state"]) for row in store.changes(known, now=101.0)] == [(1, "resuming")]


def test_a_silent_shard_becomes_stale_once_and_comes_back():
    store = ShardStore()
    store.put(event(0), now=100.0)
    known = store.version

    assert store.changes(known, now=111.0) == []
    [stale] = store.changes(known, now=113.0)
    assert stale["is_stale"]
    assert store.changes(store.version, now=114.0) == []
    assert store.hosts == frozenset()

    store.put(event(0), now=115.0)
    assert store.hosts == {"gateway@a"}


def test_who_is_silent_for_long_is_forgotten():
    store = ShardStore()
    store.put(event(0), now=100.0)

    store.changes(0, now=101.0 + FORGET_AFTER_S)

    assert store.shard_ids == []


@pytest.mark.parametrize(("silent_s", "freq_s", "stale"), [(11.0, 5.0, False), (13.0, 5.0, True), (90.0, 50.0, False)])
def test_staleness_follows_the_pace_of_the_sender(silent_s, freq_s, stale):
    assert is_stale(silent_s, freq_s) is stale
