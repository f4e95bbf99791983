import zlib

import pytest
import zstandard

from gateway_service.errors import RemoteProtocolError
from gateway_service.protocol.inflate import make_inflater

TEXTS = [b'{"op":10}', b'{"op":0,"d":"' + b"x\x00\x00\xff\xff" * 20_000 + b'"}', b'{"op":11}']


def zlib_frames(texts):
    context = zlib.compressobj()
    return [context.compress(text) + context.flush(zlib.Z_SYNC_FLUSH) for text in texts]


def zstd_frames(texts):
    context = zstandard.ZstdCompressor().compressobj()
    return [context.compress(text) + context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for text in texts]


def test_without_compression_a_frame_is_a_message():
    inflater = make_inflater("none")

    assert [inflater.feed(b"{}"), inflater.feed('"é"')] == [b"{}", '"é"'.encode()]


@pytest.mark.parametrize(("compression", "frames"), [("zlib-stream", zlib_frames), ("zstd-stream", zstd_frames)])
def test_one_context_serves_the_whole_connection(compression, frames):
    inflater = make_inflater(compression)

    assert [inflater.feed(frame) for frame in frames(TEXTS)] == TEXTS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_zlib_message_may_span_frames(size):
    inflater = make_inflater("zlib-stream")
    (whole,) = zlib_frames([b'{"content":"' + bytes(range(32, 127)) * 9 + b'"}'])
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]

    messages = [inflater.feed(part) for part in parts]

    assert messages == [None] * (len(parts) - 1) + [b'{"content":"' + bytes(range(32, 127)) * 9 + b'"}']


def test_the_zlib_suffix_inside_a_message_does_not_end_it():
    inflater = make_inflater("zlib-stream")
    context = zlib.compressobj()
    first = context.compress(b"ab") + context.flush(zlib.Z_SYNC_FLUSH)
    second = context.compress(b"cd") + context.flush(zlib.Z_SYNC_FLUSH)

    assert inflater.feed(first + second) == b"abcd"


def test_a_large_zstd_message_comes_whole():
    text = bytes(range(256)) * 4000 + b"".join(zlib.crc32(b"%d" % number).to_bytes(4, "big") for number in range(9000))
    inflater = make_inflater("zstd-stream")

    assert inflater.feed(zstd_frames([text])[0]) == text


@pytest.mark.parametrize("compression", ["zlib-stream", "zstd-stream"])
@pytest.mark.parametrize("frame", [b"\x00\x01garbage\x00\x00\xff\xff", "text"])
def test_a_broken_stream_is_the_servers_fault(compression, frame):
    with pytest.raises(RemoteProtocolError):
        make_inflater(compression).feed(frame)


def test_a_zstd_stream_broken_later_is_noticed():
    inflater = make_inflater("zstd-stream")
    first, second = zstd_frames([b"a" * 100, bytes(range(100))])
    inflater.feed(first)

    with pytest.raises(RemoteProtocolError):
        inflater.feed(second[40:] + b"\xff" * 9)


def test_the_end_of_the_zlib_stream_is_an_error():
    context = zlib.compressobj()
    frame = context.compress(b"{}") + context.flush(zlib.Z_FINISH)

    with pytest.raises(RemoteProtocolError, match="ended"):
        make_inflater("zlib-stream").feed(frame + b"\x00\x00\xff\xff")


@pytest.mark.parametrize("trailing", [b"", b"x" * 5000])
def test_the_end_of_the_zstd_frame_is_an_error(trailing):
    frame = zstandard.ZstdCompressor().compress(b"{}" * 4000) + trailing

    with pytest.raises(RemoteProtocolError):
        make_inflater("zstd-stream").feed(frame)


def test_a_frame_after_the_end_of_a_long_zstd_frame_is_an_error():
    text = b"".join(zlib.crc32(b"%d" % number).to_bytes(4, "big") for number in range(3000))
    frame = zstandard.ZstdCompressor().compress(text)

    with pytest.raises(RemoteProtocolError, match="ended"):
        make_inflater("zstd-stream").feed(frame + b"x" * 9000)


@pytest.mark.parametrize(
    ("compression", "frames"), [("none", list), ("zlib-stream", zlib_frames), ("zstd-stream", zstd_frames)]
)
def test_a_message_may_not_grow_without_bound(compression, frames):
    inflater = make_inflater(compression, max_message_bytes=1000)

    with pytest.raises(RemoteProtocolError, match="bytes"):
        inflater.feed(frames([b"x" * 1001])[0])


def test_a_long_zstd_message_is_cut_off_before_all_of_it_is_inflated():
    text = b"".join(zlib.crc32(b"%d" % number).to_bytes(4, "big") for number in range(9000))
    inflater = make_inflater("zstd-stream", max_message_bytes=5000)

    with pytest.raises(RemoteProtocolError, match="5000"):
        inflater.feed(zstd_frames([text])[0])


def test_an_unfinished_zlib_message_may_not_grow_without_bound():
    inflater = make_inflater("zlib-stream", max_message_bytes=1000)
    inflater.feed(b"x" * 600)

    with pytest.raises(RemoteProtocolError, match="more than 1000 bytes"):
        inflater.feed(b"x" * 600)
