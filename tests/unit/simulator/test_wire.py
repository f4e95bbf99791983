import zlib

import pytest
import zstandard

from gateway_service.simulator.wire import (
    Compression,
    PayloadZlibEncoder,
    dispatch_head,
    dispatch_text,
    encoder_for,
    payload_text,
)

TEXTS = [b'{"a":1}', b"x" * 100_000, b"", '{"ż":"😀"}'.encode()]


def test_a_dispatch_is_written_as_live_discord_does():
    assert dispatch_text(dispatch_head("A"), 7, b"{}") == b'{"t":"A","s":7,"op":0,"d":{}}'


def test_an_odd_event_name_is_escaped():
    assert dispatch_head('Ż"\\') == '{"t":"Ż\\"\\\\","s":'.encode()


def test_other_payloads_have_all_four_keys():
    assert payload_text(9, data=False) == b'{"t":null,"s":null,"op":9,"d":false}'


def test_zlib_stream_is_one_context_flushed_per_message():
    encoder, inflate = encoder_for(Compression.ZLIB_STREAM), zlib.decompressobj()
    messages = [encoder.encode(text) for text in TEXTS]
    assert all(message.endswith(b"\x00\x00\xff\xff") for message in messages)
    assert [inflate.decompress(message) for message in messages] == TEXTS


def test_zstd_stream_is_one_frame_without_size_or_end():
    encoder, inflate = encoder_for(Compression.ZSTD_STREAM), zstandard.ZstdDecompressor().decompressobj()
    messages = [encoder.encode(text) for text in TEXTS]
    assert zstandard.get_frame_parameters(messages[0]).content_size == zstandard.CONTENTSIZE_UNKNOWN
    assert [inflate.decompress(message) for message in messages] == TEXTS
    assert not inflate.eof


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("compression", [Compression.ZLIB_STREAM, Compression.ZSTD_STREAM])
def test_levels_are_obeyed(compression, level):
    assert encoder_for(compression, level).encode(b"text")


def test_payload_compression_is_a_context_per_message():
    encoder = PayloadZlibEncoder()
    assert [zlib.decompress(encoder.encode(text)) for text in TEXTS] == TEXTS


@pytest.mark.parametrize("compression", Compression)
def test_only_uncompressed_messages_are_text(compression):
    assert encoder_for(compression).is_text is (compression is Compression.NONE)
