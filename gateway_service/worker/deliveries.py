"""A message as it lies in the buffer, three frames long, read at once; py-amqp tries the types of every field in turn.

What is rare (bodies of several frames, unusual properties and field types) is left to py-amqp. See AMQP 0-9-1, 2.3
(frames), 4.2.5 (fields), and basic.deliver.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final, NamedTuple

FRAME: Final = Struct(">BHI")  # type, channel, size
FRAME_END: Final = 0xCE
METHOD: Final = 1
_HEADER: Final = 2
_BODY: Final = 3
DELIVER: Final = b"\x00\x3c\x00\x3c"
_CONTENT_HEADER: Final = Struct(">HHQH")  # class, weight, body size, property flags
_CONTENT_TYPE: Final = 0x8000
_CONTENT_ENCODING: Final = 0x4000
_HEADERS: Final = 0x2000
_DELIVERY_MODE: Final = 0x1000
_PRIORITY: Final = 0x0800
_CORRELATION_ID: Final = 0x0400
_REPLY_TO: Final = 0x0200
_KNOWN_FLAGS: Final = 0xFE00

_U32: Final = Struct(">I").unpack_from
_I32: Final = Struct(">i").unpack_from
_I64: Final = Struct(">q").unpack_from
_F64: Final = Struct(">d").unpack_from
_U64: Final = Struct(">Q").unpack_from


class LeftToLibrary(Exception):
    """Something that only py-amqp reads."""


class Incomplete(Exception):
    """The rest of the message has not arrived yet."""


class Delivery(NamedTuple):
    """One message and how it came."""

    channel: int
    consumer_tag: str
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    properties: dict[str, Any]
    body: bytes
    end: int
    """Where the next frame begins."""


def read_delivery(buffer: bytes, max_bytes: int) -> Delivery:
    """Read the message that begins with the first frame of ``buffer``, which is a whole basic.deliver.

    Args:
        buffer: What was read from the socket.
        max_bytes: A longer body is left to the library.

    Raises:
        Incomplete: Wait for more.
        LeftToLibrary: It is correct as far as we know, and not for us.
    """
    _, channel, size = FRAME.unpack_from(buffer)
    header_at = FRAME.size + size + 1
    header_end = _frame_end(buffer, header_at, _HEADER, channel)
    _, _, body_size, flags = _CONTENT_HEADER.unpack_from(buffer, header_at + FRAME.size)
    if flags & ~_KNOWN_FLAGS or not 0 < body_size <= max_bytes:
        raise LeftToLibrary
    body_end = _frame_end(buffer, header_end, _BODY, channel)
    body = buffer[header_end + FRAME.size : body_end - 1]
    if len(body) != body_size:
        raise LeftToLibrary
    try:
        properties = _properties(buffer, header_at + FRAME.size + _CONTENT_HEADER.size, flags)
        consumer_tag, at = _short_text(buffer, FRAME.size + len(DELIVER))
        (delivery_tag,), redelivered = _U64(buffer, at), bool(buffer[at + 8] & 1)
        exchange, at = _short_text(buffer, at + 9)
        routing_key, _ = _short_text(buffer, at)
    except UnicodeDecodeError:
        raise LeftToLibrary from None
    return Delivery(channel, consumer_tag, delivery_tag, redelivered, exchange, routing_key, properties, body, body_end)


def _frame_end(buffer: bytes, at: int, kind: int, channel: int) -> int:
    """Return where the frame at ``at`` ends, which must be of this kind and channel."""
    if len(buffer) < at + FRAME.size:
        raise Incomplete
    found_kind, found_channel, size = FRAME.unpack_from(buffer, at)
    if found_kind != kind or found_channel != channel:
        raise LeftToLibrary
    end = at + FRAME.size + size + 1
    if len(buffer) < end:
        raise Incomplete
    if buffer[end - 1] != FRAME_END:
        raise LeftToLibrary
    return int(end)


def _properties(buffer: bytes, at: int, flags: int) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if flags & _CONTENT_TYPE:
        properties["content_type"], at = _short_text(buffer, at)
    if flags & _CONTENT_ENCODING:
        properties["content_encoding"], at = _short_text(buffer, at)
    if flags & _HEADERS:
        properties["application_headers"], at = _table(buffer, at)
    if flags & _DELIVERY_MODE:
        properties["delivery_mode"] = buffer[at]
        at += 1
    if flags & _PRIORITY:
        properties["priority"] = buffer[at]
        at += 1
    if flags & _CORRELATION_ID:
        properties["correlation_id"], at = _short_text(buffer, at)
    if flags & _REPLY_TO:
        properties["reply_to"], at = _short_text(buffer, at)
    return properties


def _short_text(buffer: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + buffer[at]
    return buffer[at + 1 : end].decode(), end


def _table(buffer: bytes, at: int) -> tuple[dict[str, Any], int]:
    end = at + 4 + _U32(buffer, at)[0]
    at += 4
    table: dict[str, Any] = {}
    while at < end:
        value_at = at + 1 + buffer[at]
        key = buffer[at + 1 : value_at].decode()
        if buffer[value_at] == _TEXT:  # most are, so it is worth a way of its own
            at = value_at + 5 + _U32(buffer, value_at + 1)[0]
            table[key] = buffer[value_at + 5 : at].decode()
        else:
            table[key], at = _field(buffer, value_at)
    return table, at


def _array(buffer: bytes, at: int) -> tuple[list[Any], int]:
    end = at + 4 + _U32(buffer, at)[0]
    at += 4
    array = []
    while at < end:
        value, at = _field(buffer, at)
        array.append(value)
    return array, at


def _text(buffer: bytes, at: int) -> tuple[str, int]:
    end = at + 4 + _U32(buffer, at)[0]
    return buffer[at + 4 : end].decode(), end


_TEXT: Final = ord("S")
_FIELDS: Final[dict[int, Callable[[bytes, int], tuple[Any, int]]]] = {
    _TEXT: _text,
    ord("I"): lambda buffer, at: (_I32(buffer, at)[0], at + 4),
    ord("l"): lambda buffer, at: (_I64(buffer, at)[0], at + 8),
    ord("L"): lambda buffer, at: (_I64(buffer, at)[0], at + 8),
    ord("d"): lambda buffer, at: (_F64(buffer, at)[0], at + 8),
    ord("t"): lambda buffer, at: (bool(buffer[at]), at + 1),
    ord("V"): lambda _buffer, at: (None, at),
    ord("F"): _table,
    ord("A"): _array,
}


def _field(buffer: bytes, at: int) -> tuple[Any, int]:
    try:
        read = _FIELDS[buffer[at]]
    except KeyError:
        raise LeftToLibrary from None
    return read(buffer, at + 1)
