"""Transport compression: from WebSocket messages to JSON texts. One inflater per connection (protocol §12)."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import zstandard

from gateway_service.errors import MessageTooLong, RemoteProtocolError
from gateway_service.protocol.constants import MAX_MESSAGE_BYTES, Compression

_ZLIB_SUFFIX: Final = b"\x00\x00\xff\xff"
# A zstd block of four bytes can stand for 128 KiB, so this much input bounds what one call may allocate.
_ZSTD_STEP_BYTES: Final = 4096


class Inflater(Protocol):
    """Turns the frames of one connection into messages."""

    def feed(self, frame: bytes | str) -> bytes | None:
        """Return the message that ``frame`` completes; None when more frames are needed.

        Raises:
            MessageTooLong: The message would take more memory than we give it.
            RemoteProtocolError: The stream is broken; nothing after it on this connection can be read.
        """


def make_inflater(compression: Compression, max_message_bytes: int = MAX_MESSAGE_BYTES) -> Inflater:
    """Return a fresh inflater; contexts are never carried over to another connection."""
    return _INFLATERS[compression](max_message_bytes)


class _Plain:
    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes

    def feed(self, frame: bytes | str) -> bytes | None:
        text = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
        if len(text) > self._max_message_bytes:
            raise MessageTooLong(self._max_message_bytes)
        return text


class _ZlibStream:
    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._context = zlib.decompressobj()
        self._decompress: Callable[[bytes, int], bytes] = self._context.decompress
        self._pending = bytearray()

    def feed(self, frame: bytes | str) -> bytes | None:
        if type(frame) is not bytes:
            raise RemoteProtocolError("a text frame in a compressed stream")
        # Only the end is tested: the suffix may also occur inside a message.
        if self._pending or not frame.endswith(_ZLIB_SUFFIX):
            self._pending += frame
            if len(self._pending) > self._max_message_bytes:
                raise MessageTooLong(self._max_message_bytes)
            if not self._pending.endswith(_ZLIB_SUFFIX):
                return None
            frame = bytes(self._pending)
            self._pending = bytearray()
        try:
            text = self._decompress(frame, self._max_message_bytes)
        except zlib.error as exc:
            raise RemoteProtocolError(f"zlib: {exc}") from exc
        context = self._context
        if context.unconsumed_tail:
            raise MessageTooLong(self._max_message_bytes)
        if context.eof:
            raise RemoteProtocolError("the zlib stream ended")
        return text


class _ZstdStream:
    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._context = zstandard.ZstdDecompressor().decompressobj()
        self._decompress: Callable[[bytes], bytes] = self._context.decompress

    def feed(self, frame: bytes | str) -> bytes | None:
        if type(frame) is not bytes:
            raise RemoteProtocolError("a text frame in a compressed stream")
        try:
            text = self._decompress(frame) if len(frame) <= _ZSTD_STEP_BYTES else self._in_steps(frame)
        except zstandard.ZstdError as exc:
            raise RemoteProtocolError(f"zstd: {exc}") from exc
        if len(text) > self._max_message_bytes:
            raise MessageTooLong(self._max_message_bytes)
        if self._context.eof:
            raise RemoteProtocolError("the zstd frame ended")
        return text

    def _in_steps(self, frame: bytes) -> bytes:
        parts: list[bytes] = []
        size = 0
        for start in range(0, len(frame), _ZSTD_STEP_BYTES):
            if self._context.eof:
                break
            part = self._decompress(frame[start : start + _ZSTD_STEP_BYTES])
            parts.append(part)
            size += len(part)
            if size > self._max_message_bytes:
                raise MessageTooLong(self._max_message_bytes)
        return b"".join(parts)


_INFLATERS: Final[Mapping[Compression, Callable[[int], Inflater]]] = {
    "none": _Plain,
    "zlib-stream": _ZlibStream,
    "zstd-stream": _ZstdStream,
}
