import json
from math import inf

import pytest

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol import commands
from gateway_service.protocol.commands import MAX_QUEUED_COMMANDS, CommandQueue
from gateway_service.protocol.ratelimit import SendLimiter


def data_of(text):
    return json.loads(text)["d"]


def voice(guild_id="1"):
    return {"guild_id": guild_id, "channel_id": None}


@pytest.mark.parametrize(("seq", "d"), [(None, None), (251, 251)])
def test_a_heartbeat_carries_the_sequence(seq, d):
    assert json.loads(commands.heartbeat(seq)) == {"op": 1, "d": d}


def test_identify_carries_all_that_discord_wants():
    text = commands.identify(
        token="t",
        properties={"os": "linux"},
        intents=513,
        shard=(1, 4),
        large_threshold=250,
        presence={"status": "idle"},
    )

    assert json.loads(text) == {
        "op": 2,
        "d": {
            "token": "t",
            "properties": {"os": "linux"},
            "intents": 513,
            "shard": [1, 4],
            "large_threshold": 250,
            "compress": False,
            "presence": {"since": None, "activities": [], "status": "idle", "afk": False},
        },
    }


def test_resume_carries_token_session_and_sequence():
    text = commands.resume(token="t", session_id="s", seq=5)

    assert json.loads(text) == {"op": 6, "d": {"token": "t", "session_id": "s", "seq": 5}}


def test_a_presence_is_completed_because_discord_closes_on_a_missing_field():
    assert data_of(commands.command(3, {"status": "dnd"})) == {
        "since": None,
        "activities": [],
        "status": "dnd",
        "afk": False,
    }


def test_a_voice_state_is_completed():
    assert data_of(commands.command(4, {"guild_id": "1"})) == {
        "guild_id": "1",
        "channel_id": None,
        "self_mute": False,
        "self_deaf": False,
    }


@pytest.mark.parametrize(
    ("op", "data"),
    [
        (8, {"guild_id": "1", "query": "a", "limit": 5}),
        (8, {"guild_id": "1", "user_ids": ["1"], "nonce": "x" * 32}),
        (31, {"guild_ids": ["1"]}),
        (43, {"guild_id": "1", "fields": ["status"]}),
    ],
)
def test_a_complete_command_goes_out_as_it_is(op, data):
    assert json.loads(commands.command(op, data)) == {"op": op, "d": data}


def test_a_member_query_without_a_limit_asks_for_all():
    assert data_of(commands.command(8, {"guild_id": "1", "query": ""}))["limit"] == 0


@pytest.mark.parametrize(
    ("op", "data"),
    [
        (0, {}),
        (1, None),
        (2, {}),
        (6, {}),
        (99, {}),
        (3, None),
        (3, []),
        (4, {}),
        (8, {}),
        (8, {"guild_id": "1"}),
        (8, {"guild_id": "1", "query": "", "user_ids": []}),
        (8, {"guild_id": "1", "user_ids": ["1"] * 101}),
        (8, {"guild_id": "1", "query": "", "nonce": "é" * 17}),
        (31, {}),
        (43, {"guild_id": "1"}),
        (3, {"activities": [{"name": "x" * 4096}]}),
        (3, {"activities": {1, 2}}),
        (3, {"activities": "\ud83d"}),
        (3, {"since": 2**70}),
    ],
)
def test_what_discord_would_close_for_is_refused_here(op, data):
    with pytest.raises(LocalProtocolError):
        commands.command(op, data)


def test_exactly_4096_bytes_are_allowed():
    overhead = len(commands.encode(8, {"x": ""}))

    assert len(commands.encode(8, {"x": "a" * (4096 - overhead)})) == 4096


def test_one_byte_more_is_refused_and_the_content_is_not_shown():
    overhead = len(commands.encode(8, {"x": ""}))

    with pytest.raises(LocalProtocolError, match="4097 bytes") as refusal:
        commands.encode(8, {"x": "a" * (4097 - overhead)})
    assert "aaa" not in str(refusal.value)


def test_a_presence_that_is_no_object_is_refused():
    with pytest.raises(LocalProtocolError, match="presence"):
        commands.identify(token="t", properties={}, intents=0, shard=(0, 1), large_threshold=50, presence=["x"])


def test_commands_leave_in_order():
    queue = CommandQueue()
    queue.put(4, voice("1"))
    queue.put(4, voice("2"))

    assert [data_of(text)["guild_id"] for text in queue.take(SendLimiter(), 0.0)] == ["1", "2"]


def test_of_several_presences_the_latest_wins():
    queue = CommandQueue()
    queue.put(3, {"status": "idle"})
    queue.put(3, {"status": "dnd"})

    assert [data_of(text)["status"] for text in queue.take(SendLimiter(), 0.0)] == ["dnd"]


def test_a_taken_command_is_gone():
    queue = CommandQueue()
    queue.put(3, {})
    queue.take(SendLimiter(), 0.0)

    assert (len(queue), queue.next_deadline(SendLimiter())) == (0, inf)


def test_the_queue_is_bounded_and_says_so():
    queue = CommandQueue()
    for _ in range(MAX_QUEUED_COMMANDS):
        queue.put(4, voice())

    with pytest.raises(LocalProtocolError, match="waiting already"):
        queue.put(4, voice())


def test_a_full_queue_still_takes_a_presence():
    queue = CommandQueue()
    for _ in range(MAX_QUEUED_COMMANDS):
        queue.put(4, voice())
    queue.put(3, {})

    assert len(queue) == MAX_QUEUED_COMMANDS + 1


def test_at_most_five_presences_leave_in_twenty_seconds():
    queue, limiter, taken = CommandQueue(), SendLimiter(), []
    for second in range(20):
        queue.put(3, {"since": second})
        taken += queue.take(limiter, float(second))

    assert len(taken) == 5


def test_a_held_back_presence_leaves_at_its_deadline():
    queue, limiter = CommandQueue(), SendLimiter()
    for second in range(6):
        queue.put(3, {"since": second})
        queue.take(limiter, float(second))
    deadline = queue.next_deadline(limiter)

    assert (queue.take(limiter, deadline - 0.01), len(queue.take(limiter, deadline))) == ([], 1)


def test_a_held_back_command_leaves_at_its_deadline():
    queue, limiter = CommandQueue(), SendLimiter()
    limiter.reserve_heartbeats(41.25)
    for _ in range(116):
        queue.put(4, voice())
    first = queue.take(limiter, 0.0)
    deadline = queue.next_deadline(limiter)

    assert (len(first), len(queue.take(limiter, deadline))) == (115, 1)
