"""Whatever arrives, a parser answers with a value or with an error of our own, and keeps to its bounds."""

import json
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway_service.connection.frames import FrameSplitter
from gateway_service.errors import ConfigurationError, RemoteProtocolError
from gateway_service.ipc.messages import AnyChildMessage, AnySupervisorMessage
from gateway_service.protocol.inflate import make_inflater
from gateway_service.protocol.payloads import decode
from gateway_service.settings.sources import load_options

LIMIT_BYTES = 10_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
IPC = {"child": TypeAdapter(AnyChildMessage), "supervisor": TypeAdapter(AnySupervisorMessage)}


def zlib_stream(text):
    stream = zlib.compressobj()
    return stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)


def zstd_stream(text):
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(text) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


STREAMS = {"zlib-stream": zlib_stream, "zstd-stream": zstd_stream}


@pytest.mark.parametrize("compression", [*STREAMS, "none"])
@given(frames=st.lists(st.binary(max_size=64) | st.text(max_size=16), max_size=4))
def test_a_stream_of_noise_is_text_or_broken(compression, frames):
    inflater = make_inflater(compression, LIMIT_BYTES)
    try:
        texts = [inflater.feed(frame) for frame in frames]
    except RemoteProtocolError:
        return
    assert all(text is None or len(text) <= LIMIT_BYTES for text in texts)


@pytest.mark.parametrize("compression", STREAMS)
@given(data=st.data())
def test_a_damaged_stream_is_text_or_broken(compression, data):
    message = bytearray(STREAMS[compression](json.dumps({"op": 0, "d": "x" * 200}).encode()))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] = data.draw(st.integers(0, 255))
    inflater = make_inflater(compression, LIMIT_BYTES)
    with suppress(RemoteProtocolError):
        text = inflater.feed(bytes(message))
        assert text is None or len(text) <= LIMIT_BYTES


@pytest.mark.parametrize("compression", STREAMS)
def test_a_bomb_is_refused_at_the_limit(compression):
    bomb = STREAMS[compression](b" " * 50_000_000)
    with pytest.raises(RemoteProtocolError, match="inflates to more than 10000 bytes"):
        make_inflater(compression, LIMIT_BYTES).feed(bomb)


@given(text=st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_text_is_a_payload_or_none(text):
    try:
        op, *_ = decode(text)
    except RemoteProtocolError:
        return
    assert type(op) is int


@given(value=JSON)
def test_d_may_be_anything_and_is_kept_byte_for_byte(value):
    raw = json.dumps(value, allow_nan=False) if _is_finite(value) else "null"
    *_, kept = decode(b'{"t":"ODD","s":7,"op":0,"d":%b}' % raw.encode())
    assert kept == raw.encode()


@pytest.mark.parametrize(
    ("raw", "is_json"),
    [
        (b"[" * 200 + b"]" * 200, True),
        (b"[" * 100_000 + b"]" * 100_000, False),  # deeper than any decoder of ours goes
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, False),
        (b"9" * 400, True),
        (b"1e999", True),
        (b"NaN", False),
        (b"-Infinity", False),
        (b'"\\ud800"', True),
        (b'"\xff"', False),
    ],
    ids=["200 levels", "100k lists", "100k objects", "huge", "1e999", "NaN", "-Infinity", "surrogate", "UTF-8"],
)
def test_odd_values_are_kept_or_refused(raw, is_json):
    text = b'{"t":"ODD","s":7,"op":0,"d":%b}' % raw
    if is_json:
        assert decode(text)[-1] == raw
    else:
        with pytest.raises(RemoteProtocolError):
            decode(text)


@given(reads=st.lists(st.binary(max_size=64), max_size=6))
def test_frames_of_noise_are_cut_without_losing_a_byte_of_order(reads):
    splitter = FrameSplitter()
    for read in reads:
        for first, frame in splitter.feed(read):
            assert isinstance(frame, bytes)
            assert first <= 255


@pytest.mark.parametrize("side", IPC)
@given(line=st.binary(max_size=80) | JSON.map(lambda value: json.dumps({"type": "report", "shards": value}).encode()))
def test_a_line_between_processes_is_a_message_or_refused(side, line):
    with suppress(ValidationError):
        assert IPC[side].validate_json(line).type


@given(
    name=st.sampled_from(
        ["GATEWAY_SHARD_COUNT", "GATEWAY_INTENTS", "GATEWAY_PRESENCE", "GATEWAY_URL", "GATEWAY_SHARDS"]
    ),
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
)
def test_a_setting_is_taken_or_refused_in_words(name, value):
    with suppress(ConfigurationError):
        assert load_options({}, {"DISCORD_TOKEN": "t", "CELERY_BROKER_URL": "amqp://localhost//", name: value})


def _is_finite(value):
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True
