import json
import zlib
from pathlib import Path

import pytest
import zstandard

from gateway_service.protocol.constants import MAX_SEQ_JUMP, RESUMABLE_CLOSE_CODE
from gateway_service.protocol.effects import Deliver, SessionOpened
from gateway_service.protocol.guilds import GuildSnapshot
from tests.support.machine import closed, delivered, endings, noted, payload


def test_ready_opens_a_session_of_which_nothing_is_published(shell):
    effects = shell.to_live(guilds=[5, 6])

    (opened,) = [effect.session for effect in effects if isinstance(effect, SessionOpened)]
    assert (opened.session_id, opened.resume_gateway_url, opened.seq) == ("s-1", "wss://resume.discord.gg", 0)
    assert (opened.shard_id, opened.num_shards, opened.intents, opened.compression) == (1, 4, 513, "none")


def test_the_session_is_opened_before_ready_is_delivered(shell):
    kinds = [type(effect) for effect in shell.to_live()]

    assert kinds.index(SessionOpened) < kinds.index(Deliver)


def test_ready_is_a_dispatch_like_any_other(shell):
    assert delivered(shell.to_live()) == [("READY", 1)]


def test_a_dispatch_is_delivered_with_its_exact_text(shell):
    shell.to_live()

    (effect,) = shell.receive(b'{"t":"MESSAGE_CREATE","s":2,"op":0,"d":{"guild_id":"5","n":1.50}}')

    assert effect == Deliver("MESSAGE_CREATE", 2, b'{"guild_id":"5","n":1.50}', 5, None)


def test_no_content_is_in_the_repr_of_a_delivery(shell):
    shell.to_live()

    assert "secret" not in repr(shell.dispatch("MESSAGE_CREATE", {"content": "secret"}))


def test_unknown_events_are_forwarded(shell):
    shell.to_live()

    assert delivered(shell.dispatch("BRAND NEW #*.", None)) == [("BRAND NEW #*.", 2)]


def test_unknown_opcodes_are_counted_and_ignored(shell):
    shell.to_live()

    assert (noted(shell.op(77, {"x": 1})), shell.machine.state) == (["opcode.unknown"], "live")


@pytest.mark.parametrize("seq", [1, 2])
def test_a_repeated_sequence_is_dropped(shell, seq):
    shell.to_live()
    shell.dispatch("MESSAGE_CREATE", {})

    effects = shell.dispatch("MESSAGE_CREATE", {}, seq=seq)

    assert (delivered(effects), noted(effects), shell.machine.received_seq) == ([], ["dispatch.duplicate"], 2)


def test_a_gap_is_told_and_the_dispatch_delivered(shell):
    shell.to_live()

    effects = shell.dispatch("MESSAGE_CREATE", {}, seq=9)

    assert (delivered(effects), noted(effects)) == ([("MESSAGE_CREATE", 9)], ["dispatch.gap"])


def test_a_number_far_ahead_is_a_broken_stream_and_not_taken(shell):
    shell.to_live()

    effects = shell.dispatch("MESSAGE_CREATE", {}, seq=2 + MAX_SEQ_JUMP)

    assert (delivered(effects), closed(effects)) == ([], [RESUMABLE_CLOSE_CODE])
    assert shell.machine.received_seq == 1


@pytest.mark.parametrize(("event", "seq"), [(None, 2), ("MESSAGE_CREATE", None), (5, 2)])
def test_a_dispatch_without_identity_is_dropped_and_told(shell, event, seq):
    shell.to_live()

    effects = shell.receive(payload(0, {}, seq, event))

    assert (delivered(effects), noted(effects)) == ([], ["dispatch.unnumbered"])


@pytest.mark.parametrize("state", ["hello_wait", "permit_wait", "identifying"])
def test_a_dispatch_before_ready_belongs_to_no_session(shell, state):
    shell.reach(state)

    effects = shell.dispatch("MESSAGE_CREATE", {}, seq=1)

    assert (delivered(effects), noted(effects)) == ([], ["dispatch.unexpected"])


@pytest.mark.parametrize("state", ["hello_wait", "permit_wait"])
def test_a_ready_that_nobody_asked_for_is_ignored(shell, state):
    shell.reach(state)

    assert (noted(shell.ready()), shell.machine.state) == (["dispatch.unexpected"], state)


@pytest.mark.parametrize(
    "data", [None, {}, {"session_id": 5}, {"session_id": ""}, {"session_id": "x" * 5000}, {"session_id": "\ud83d"}]
)
def test_a_ready_without_a_usable_session_id_is_a_broken_stream(shell, data):
    shell.to_identifying()

    effects = shell.dispatch("READY", data, seq=1)

    assert (closed(effects), endings(effects)[0]["cause"]) == ([4000], "broken_stream")


def test_a_ready_without_a_sequence_is_a_broken_stream(shell):
    shell.to_identifying()

    assert endings(shell.receive(payload(0, {"session_id": "x"}, None, "READY")))[0]["cause"] == "broken_stream"


@pytest.mark.parametrize("url", [None, "https://x", "ws://clear.text", ""])
def test_an_unusable_resume_url_is_replaced_by_the_generic_one(shell, url):
    effects = shell.to_live(url=url)

    assert (noted(effects)[0], shell.machine.session.resume_gateway_url) == ("url.refused", "wss://gateway.discord.gg")


def test_another_ready_replaces_the_whole_session(shell):
    shell.to_live()
    shell.dispatch("MESSAGE_CREATE", {})
    shell.machine.published(2)

    shell.ready(session_id="s-2", url="wss://second.discord.gg", seq=1)

    session = shell.machine.session
    assert (session.session_id, session.resume_gateway_url, session.seq, shell.machine.received_seq) == (
        "s-2",
        "wss://second.discord.gg",
        0,
        1,
    )


def test_guild_dispatches_say_why_they_came(shell):
    shell.to_live(guilds=[5])

    effects = [
        *shell.dispatch("GUILD_CREATE", {"id": "5"}),
        *shell.dispatch("GUILD_DELETE", {"id": "5", "unavailable": True}),
        *shell.dispatch("GUILD_CREATE", {"id": "5", "unavailable": False}),
        *shell.dispatch("GUILD_CREATE", {"id": "6"}),
        *shell.dispatch("GUILD_DELETE", {"id": "5"}),
    ]

    assert [effect.kind for effect in effects] == ["startup", "outage", "recovered", "join", "left"]
    assert [effect.guild_id for effect in effects] == [5, 5, 5, 6, 5]


def test_the_guild_count_follows(shell):
    shell.to_live(guilds=[5, 6])
    before = shell.machine.guild_count
    shell.dispatch("GUILD_DELETE", {"id": "5"})

    assert (before, shell.machine.guild_count) == (2, 1)


def test_without_a_session_there_is_nothing_to_count(shell):
    machine = shell.machine

    assert (machine.session, machine.resumable, machine.received_seq, machine.guild_count) == (None, False, 0, 0)


def test_the_stored_session_is_of_the_published_moment(shell):
    shell.to_live(guilds=[5])
    shell.dispatch("GUILD_CREATE", {"id": "5"})
    shell.machine.published(1)

    session = shell.machine.session

    assert (session.seq, session.guilds) == (1, GuildSnapshot(awaited=frozenset({5})))


@pytest.mark.parametrize("seq", [0, 1, 99])
def test_a_watermark_that_is_not_this_sessions_is_ignored(shell, seq):
    shell.to_live()
    shell.dispatch("MESSAGE_CREATE", {})
    shell.machine.published(2)

    shell.machine.published(seq)

    assert shell.machine.session.seq == 2


def test_a_watermark_without_a_session_is_ignored(shell):
    shell.machine.published(5)

    assert shell.machine.session is None


def compressed(compression):
    if compression == "zlib-stream":
        zlib_context = zlib.compressobj()
        return lambda text: zlib_context.compress(text) + zlib_context.flush(zlib.Z_SYNC_FLUSH)
    zstd_context = zstandard.ZstdCompressor().compressobj()
    return lambda text: zstd_context.compress(text) + zstd_context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize("compression", ["zlib-stream", "zstd-stream"])
def test_a_compressed_conversation(make_shell, compression):
    shell, squeeze = make_shell(compression=compression), compressed(compression)
    shell.to_hello()
    shell.receive(squeeze(payload(10, {"heartbeat_interval": 41250})))
    shell.permit()
    shell.receive(squeeze(payload(0, {"session_id": "s", "resume_gateway_url": "wss://x", "guilds": []}, 1, "READY")))

    assert delivered(shell.receive(squeeze(payload(0, {"a": 1}, 2, "X")))) == [("X", 2)]


@pytest.mark.parametrize(
    ("compression", "frame"),
    [
        ("none", b"\xff\xfe"),
        ("none", "not json"),
        ("none", "\ud83d"),
        ("none", b"{}"),
        ("zlib-stream", b"{}\x00\x00\xff\xff"),
        ("zstd-stream", b"{}{}{}{}{}"),
        ("zstd-stream", b""),
        ("zstd-stream", "{}"),
    ],
)
def test_bad_input_closes_resumably_and_reconnects(make_shell, compression, frame):
    shell = make_shell(compression=compression)
    shell.to_hello()

    effects = shell.receive(frame)

    assert (closed(effects), endings(effects)[0]["cause"], shell.machine.state) == ([4000], "broken_stream", "backoff")


def test_half_a_zlib_message_is_waited_for(make_shell):
    shell = make_shell(compression="zlib-stream")
    shell.to_hello()
    frame = compressed("zlib-stream")(payload(10, {"heartbeat_interval": 41250}))

    effects = [shell.receive(frame[:9]), shell.receive(frame[9:])]

    assert (effects[0], shell.machine.state) == ([], "permit_wait")


@pytest.mark.parametrize("line", Path(__file__).with_name("payloads.jsonl").read_bytes().splitlines())
def test_payloads_that_break_naive_code_are_delivered_exactly(shell, line):
    shell.to_live()
    expected = json.loads(line)

    effect = shell.receive(line)[-1]

    assert (effect.event, json.loads(effect.raw)) == (expected["t"], expected["d"])
