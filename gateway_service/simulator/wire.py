"""The bytes of a payload: Discord's key order, and the transport compressions."""

import zlib
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson
import zstandard

# zstd's default level asks for a window of 2 MiB and several MiB of tables per connection; 256 KiB of history
# compress chat as well and let one process hold a hundred connections.
_ZSTD_WINDOW_LOG: Final = 18
_ZSTD_LEVEL: Final = 3


class Compression(StrEnum):
    """How the server writes; the first three are values of the ``compress`` query parameter or its absence."""

    NONE = ""
    ZLIB_STREAM = "zlib-stream"
    ZSTD_STREAM = "zstd-stream"


class Encoder(Protocol):
    """Turns payload texts into WebSocket messages, in order, for one connection."""

    is_text: bool

    def encode(self, text: bytes) -> bytes: ...

    def end(self) -> bytes:
        """Finish the stream, which never happens on a healthy connection."""


class PlainEncoder:
    is_text = True

    def encode(self, text: bytes) -> bytes:
        return text

    def end(self) -> bytes:
        return b""


class PayloadZlibEncoder:
    """``compress: true`` in IDENTIFY: every message is a zlib stream of its own."""

    is_text = False

    def encode(self, text: bytes) -> bytes:
        return zlib.compress(text)

    def end(self) -> bytes:
        return b""


class ZlibStreamEncoder:
    """One deflate context per connection; every message ends in 00 00 FF FF."""

    is_text = False

    def __init__(self, level: int | None) -> None:
        self._deflate = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION if level is None else level)

    def encode(self, text: bytes) -> bytes:
        return self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._deflate.flush(zlib.Z_FINISH)


class ZstdStreamEncoder:
    """One endless zstd frame per connection, without content size, flushed per message."""

    is_text = False

    def __init__(self, level: int | None) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _ZSTD_LEVEL if level is None else level, window_log=_ZSTD_WINDOW_LOG
        )
        self._frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def encode(self, text: bytes) -> bytes:
        return self._frame.compress(text) + self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


def encoder_for(compression: Compression, level: int | None = None) -> Encoder:
    """Return a fresh context for one connection."""
    match compression:
        case Compression.NONE:
            return PlainEncoder()
        case Compression.ZLIB_STREAM:
            return ZlibStreamEncoder(level)
        case Compression.ZSTD_STREAM:
            return ZstdStreamEncoder(level)


@lru_cache(maxsize=1024)
def dispatch_head(event: str) -> bytes:
    """Return the start of every payload of this event, up to the number."""
    return b'{"t":' + orjson.dumps(event) + b',"s":'


def dispatch_text(head: bytes, seq: int, body: bytes) -> bytes:
    """Return a dispatch as live Discord writes it: t, s, op, d, without spaces."""
    return b'%b%d,"op":0,"d":%b}' % (head, seq, body)


def payload_text(op: int, data: Any) -> bytes:
    """Return any other payload; all four keys are there, null where they mean nothing."""
    return b'{"t":null,"s":null,"op":%d,"d":%b}' % (op, orjson.dumps(data))
