import pytest

from gateway_service.protocol.guilds import GuildSnapshot, GuildTracker, guild_id_of, snowflake

READY = {"guilds": [{"id": "1", "unavailable": True}, {"id": "2", "unavailable": True}]}


@pytest.fixture
def tracker():
    tracker = GuildTracker()
    tracker.receive_ready(READY, 1)
    return tracker


def test_a_guild_listed_in_ready_is_a_startup(tracker):
    assert tracker.receive_create({"id": "1"}, 2) == "startup"


def test_a_guild_listed_in_ready_is_a_startup_whatever_unavailable_says(tracker):
    assert tracker.receive_create({"id": "1", "unavailable": False}, 2) == "startup"


def test_an_unknown_guild_is_a_join(tracker):
    assert tracker.receive_create({"id": "9"}, 2) == "join"


def test_a_guild_announced_as_unavailable_alone_is_an_outage(tracker):
    assert tracker.receive_create({"id": "1", "unavailable": True}, 2) == "outage"


def test_a_guild_after_its_outage_is_recovered(tracker):
    tracker.receive_create({"id": "1"}, 2)
    tracker.receive_delete({"id": "1", "unavailable": True}, 3)

    assert tracker.receive_create({"id": "1", "unavailable": False}, 4) == "recovered"


def test_a_guild_in_an_outage_at_startup_is_recovered_when_it_comes(tracker):
    tracker.receive_delete({"id": "1", "unavailable": True}, 2)

    assert tracker.receive_create({"id": "1", "unavailable": False}, 3) == "recovered"


def test_a_known_guild_that_comes_again_is_recovered(tracker):
    tracker.receive_create({"id": "1"}, 2)

    assert tracker.receive_create({"id": "1"}, 3) == "recovered"


def test_a_delete_with_unavailable_is_an_outage(tracker):
    assert tracker.receive_delete({"id": "1", "unavailable": True}, 2) == "outage"


def test_a_delete_without_unavailable_is_a_leave(tracker):
    assert tracker.receive_delete({"id": "1"}, 2) == "left"


def test_a_guild_that_was_left_can_be_joined(tracker):
    tracker.receive_delete({"id": "1"}, 2)

    assert tracker.receive_create({"id": "1"}, 3) == "join"


@pytest.mark.parametrize("data", [None, [], "x", {}, {"id": None}, {"id": "x"}])
def test_a_guild_without_an_id_has_no_kind(tracker, data):
    assert (tracker.receive_create(data, 2), tracker.receive_delete(data, 3)) == (None, None)


@pytest.mark.parametrize("data", [None, [], {}, {"guilds": None}, {"guilds": [None, 1, {}, {"id": []}]}])
def test_a_ready_without_usable_guilds_has_none(data):
    tracker = GuildTracker()

    tracker.receive_ready(data, 1)

    assert len(tracker) == 0


def test_the_snapshot_is_of_the_published_moment(tracker):
    tracker.receive_create({"id": "1"}, 2)
    tracker.receive_create({"id": "3", "unavailable": True}, 3)
    tracker.receive_delete({"id": "1"}, 4)

    snapshots = [tracker.snapshot(seq) for seq in range(5)]

    assert snapshots == [
        GuildSnapshot(),
        GuildSnapshot(awaited=frozenset({1, 2})),
        GuildSnapshot(known=frozenset({1}), awaited=frozenset({2})),
        GuildSnapshot(known=frozenset({1}), awaited=frozenset({2}), unavailable=frozenset({3})),
        GuildSnapshot(awaited=frozenset({2}), unavailable=frozenset({3})),
    ]


def test_a_replay_after_a_crash_is_classified_as_the_first_time(tracker):
    tracker.receive_create({"id": "1"}, 2)
    after_crash = GuildTracker(tracker.snapshot(published_seq=1))

    assert after_crash.receive_create({"id": "1"}, 2) == "startup"


def test_an_unchanged_snapshot_is_the_same_object(tracker):
    assert tracker.snapshot(1) is tracker.snapshot(1)


def test_a_new_ready_starts_over(tracker):
    tracker.receive_create({"id": "1"}, 2)
    tracker.receive_ready({"guilds": [{"id": "5"}]}, 3)

    assert tracker.snapshot(3) == GuildSnapshot(awaited=frozenset({5}))


def test_a_snapshot_survives_lists():
    snapshot = GuildSnapshot(known=frozenset({2**63}), awaited=frozenset({1, 2}), unavailable=frozenset({3}))

    assert GuildSnapshot.from_lists(snapshot.to_lists()) == snapshot


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1574506063359647786", 1574506063359647786),
        (1574506063359647786, 1574506063359647786),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", None),
        (2**64, None),
        ("", None),
        ("-1", None),
        (-1, None),
        ("1_0", None),
        (" 1", None),
        ("١٢", None),
        ("²", None),
        ("9" * 5000, None),
        (True, None),
        (1.0, None),
        (None, None),
        ([], None),
    ],
)
def test_a_snowflake_is_a_64_bit_number_or_its_digits(value, number):
    assert snowflake(value) == number


@pytest.mark.parametrize(
    ("event", "data", "guild_id"),
    [
        ("MESSAGE_CREATE", {"guild_id": "5"}, 5),
        ("MESSAGE_CREATE", {"guild_id": 5}, 5),
        ("MESSAGE_CREATE", {"id": "5"}, None),
        ("MESSAGE_CREATE", {"guild_id": None, "id": "5"}, None),
        ("MESSAGE_CREATE", {"message_reference": {"guild_id": "9"}}, None),
        ("BRAND_NEW_EVENT", {"guild_id": "5"}, 5),
        ("GUILD_CREATE", {"id": "5"}, 5),
        ("GUILD_UPDATE", {"id": "5"}, 5),
        ("GUILD_DELETE", {"id": "5", "guild_id": "x"}, 5),
        ("RATE_LIMITED", {"meta": {"guild_id": "5"}}, 5),
        ("RATE_LIMITED", {"meta": None}, None),
        ("VOICE_CHANNEL_STATUS_UPDATE", {"id": "77", "guild_id": "5"}, 5),
        ("RESUMED", None, None),
        ("ODD", [1], None),
        ("ODD", "text", None),
    ],
)
def test_the_guild_of_a_dispatch(event, data, guild_id):
    assert guild_id_of(event, data) == guild_id
