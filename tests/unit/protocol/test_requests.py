"""A request and the dispatches that answer it; the clock is a number."""

from gateway_service.protocol.constants import Opcode
from gateway_service.protocol.requests import SILENCE_S, Gathering

GUILD = "81384788765712384"


def members(now=0.0):
    gathering = Gathering(Opcode.REQUEST_GUILD_MEMBERS, {"guild_id": GUILD, "query": "", "limit": 0}, "nonce", now)
    gathering.sent(now)
    return gathering


def chunk(index, count, nonce="nonce", guild_id=GUILD):
    return {"guild_id": guild_id, "nonce": nonce, "chunk_index": index, "chunk_count": count, "members": [index]}


def limited(retry_after=30.0, opcode=8, **meta):
    return {"opcode": opcode, "retry_after": retry_after, "meta": {"guild_id": GUILD, **meta}}


def test_a_request_carries_its_nonce_and_is_due_at_once():
    gathering = Gathering(Opcode.REQUEST_GUILD_MEMBERS, {"guild_id": GUILD}, "nonce", 5.0)

    assert gathering.data["nonce"] == "nonce"
    assert gathering.is_due(5.0)
    assert not gathering.is_complete


def test_it_is_complete_with_its_last_chunk_whatever_the_order():
    gathering = members()

    assert gathering.receive("GUILD_MEMBERS_CHUNK", chunk(2, 3), 1.0)
    assert gathering.receive("GUILD_MEMBERS_CHUNK", chunk(0, 3), 1.0)
    assert not gathering.is_complete
    assert gathering.receive("GUILD_MEMBERS_CHUNK", chunk(1, 3), 1.0)

    assert gathering.is_complete
    assert [part["chunk_index"] for part in gathering.parts] == [0, 1, 2]


def test_chunks_of_others_are_not_taken():
    gathering = members()

    assert not gathering.receive("GUILD_MEMBERS_CHUNK", chunk(0, 1, nonce="another"), 1.0)
    assert not gathering.receive("GUILD_MEMBERS_CHUNK", chunk(0, 1, guild_id="1"), 1.0)
    assert not gathering.receive("SOUNDBOARD_SOUNDS", {"guild_id": GUILD}, 1.0)
    assert not gathering.receive("GUILD_MEMBERS_CHUNK", chunk(3, 3), 1.0)
    assert not gathering.receive("GUILD_MEMBERS_CHUNK", None, 1.0)
    assert not gathering.is_complete


def test_a_silence_among_chunks_sends_the_request_again_from_the_start():
    gathering = members()
    gathering.receive("GUILD_MEMBERS_CHUNK", chunk(0, 2), 3.0)

    assert not gathering.is_due(3.0 + SILENCE_S - 0.1)
    assert gathering.next_deadline == 3.0 + SILENCE_S
    assert gathering.is_due(3.0 + SILENCE_S)

    gathering.sent(8.0)
    gathering.receive("GUILD_MEMBERS_CHUNK", chunk(1, 2), 8.5)
    assert not gathering.is_complete


def test_discords_limit_is_waited_out():
    gathering = members()

    assert gathering.receive("RATE_LIMITED", limited(30.0, nonce="nonce"), 1.0)

    assert gathering.retry_after_s == 30.0
    assert not gathering.is_due(30.9)
    assert gathering.is_due(31.0)


def test_a_limit_of_another_request_is_not_ours():
    gathering = members()

    assert not gathering.receive("RATE_LIMITED", limited(nonce="another"), 1.0)
    assert not gathering.receive("RATE_LIMITED", limited(opcode=31), 1.0)
    assert not gathering.receive("RATE_LIMITED", {"opcode": 8, "retry_after": "soon", "meta": {}}, 1.0)


def test_each_who_wants_it_waits_for_as_long_as_it_said():
    gathering = members()
    gathering.wait(1, 1.0, 0.0)
    gathering.wait(2, 3.0, 0.5)

    assert gathering.next_deadline == 1.0
    assert gathering.take_expired(0.9) == []
    assert gathering.take_expired(1.0) == [1]
    assert gathering.next_deadline == 3.5
    assert gathering.take_expired(3.5) == [2]
    assert not gathering.deadlines


def test_sounds_and_channel_info_are_asked_for_once():
    gathering = Gathering(Opcode.REQUEST_SOUNDBOARD_SOUNDS, {"guild_ids": [GUILD]}, "nonce", 0.0)
    gathering.sent(0.0)

    assert "nonce" not in gathering.data
    assert not gathering.is_due(1000.0)
    assert gathering.receive("SOUNDBOARD_SOUNDS", {"guild_id": GUILD, "soundboard_sounds": []}, 1.0)
    assert gathering.is_complete
