"""AMQP 0-9-1 frames: task messages from templates, and the cutting of what the broker answers.

py-amqp serialises the properties of one message of each kind, with marks where something differs from message to
message; the others are that message with the marks replaced, at a twentieth of the cost.
See AMQP 0-9-1: 2.3.5 (frames), 4.2.6 (content framing).
"""

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final

import amqp
from amqp.serialization import dumps

from gateway_service.contract import BODY_PREFIX, BODY_SUFFIX, EVENTS_EXCHANGE, LANES, routing_key
from gateway_service.errors import BrokerUnavailable
from gateway_service.publisher.envelope import Envelope, Origin, headers_of, lasting_headers

METHOD_FRAME: Final = 1
HEARTBEAT_FRAME: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"
BASIC_ACK: Final = b"\x00\x3c\x00\x50"
BASIC_NACK: Final = b"\x00\x3c\x00\x78"
CHANNEL_CLOSE: Final = b"\x00\x14\x00\x28"

_HEADER_FRAME: Final = 2
_BODY_FRAME: Final = 3
_BASIC_CLASS: Final = 60
_BASIC_PUBLISH: Final = b"\x00\x3c\x00\x28"
_FRAME_END: Final = b"\xce"
_FRAME_START: Final = Struct(">BHI")
_CONTENT_START: Final = Struct(">HHQ")
_FRAME_OVERHEAD_BYTES: Final = _FRAME_START.size + len(_FRAME_END)

_BODY_AROUND_BYTES: Final = len(BODY_PREFIX) + len(BODY_SUFFIX)
_BODY_END: Final = BODY_SUFFIX + _FRAME_END

# What differs between the routing keys of one event's dispatches; see contract.routing_key.
_LANE_DIGITS: Final = tuple(b"%02d" % lane for lane in range(LANES))
# Behind the lane come the bits of basic.publish and the end of the frame.
_AFTER_LANE_BYTES: Final = 1 + len(_FRAME_END)

# UTF-8 text has neither FE nor FF, and no length here is that large, so these stand where we put them only.
_SEQ_MARK: Final = b"\xfe\xff\xfe\xfd"
_GUILD_MARK: Final = b"\xfe\xff\xfe\xfb" * 2
_TIME_MARK: Final = b"\xfe\xff\xfe\xf9" * 2
_ID_MARK: Final = b"\xff"
_INT: Final = Struct(">i")
_LONG: Final = Struct(">q")
_DOUBLE: Final = Struct(">d")

# py-amqp writes an integer as four bytes up to this one and as eight bytes beyond.
_MAX_INT: Final = 2**31 - 1
_MAX_LONG: Final = 2**63 - 1

# Sessions come and go; beyond this number their templates are forgotten and the living ones made again.
_MAX_TEMPLATES: Final = 4096

_Template = Callable[[Envelope, bytes, int], bytes]
"""Takes an envelope, its id and the size of its body; returns all frames up to the raw payload."""


class FrameEncoder:
    """Writes the frames of ``basic.publish`` for envelopes on one channel."""

    def __init__(self, origin: Origin, channel: int, frame_max: int) -> None:
        """Prepare an encoder.

        Args:
            origin: Who publishes.
            channel: The AMQP channel number.
            frame_max: What was negotiated with the broker, in bytes.
        """
        self._origin = origin
        self._channel = channel
        self._max_chunk_bytes = frame_max - _FRAME_OVERHEAD_BYTES
        self._templates: dict[tuple[object, ...], _Template] = {}

    def encode(self, envelope: Envelope, parts: list[bytes]) -> None:
        """Append the frames of one message to ``parts``."""
        guild_id = envelope.guild_id
        size = len(envelope.raw) + _BODY_AROUND_BYTES
        if (
            size > self._max_chunk_bytes
            or envelope.seq > _MAX_INT
            or (guild_id is not None and not _MAX_INT < guild_id <= _MAX_LONG)
            or envelope.traceparent is not None
        ):
            parts.append(self._encode_whole(envelope))
            return
        task_id = b"%b-%d" % (envelope.session.encode(), envelope.seq)
        # All on which the lasting headers and the places of the other ones depend.
        key = (
            envelope.event,
            envelope.session,
            len(task_id),
            envelope.kind,
            guild_id is None,
            envelope.shard_id,
            envelope.num_shards,
        )
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            template = self._templates[key] = self._make_template(envelope, len(task_id))
        parts.append(template(envelope, task_id, size))
        parts.append(envelope.raw)
        parts.append(_BODY_END)

    def _make_template(self, envelope: Envelope, id_length: int) -> _Template:
        has_guild = envelope.guild_id is not None
        id_mark = _ID_MARK * id_length
        headers = {
            **lasting_headers(envelope, self._origin),
            "seq": _INT.unpack(_SEQ_MARK)[0],
            "guild_id": _LONG.unpack(_GUILD_MARK)[0] if has_guild else None,
            "received_at": _DOUBLE.unpack(_TIME_MARK)[0],
            "id": id_mark,
            "root_id": id_mark,
        }
        properties = _properties(headers, id_mark)
        header_size = _CONTENT_START.size + len(properties)
        method = self._method_frame(envelope)
        start = method[: -_AFTER_LANE_BYTES - 2]
        before = method[-_AFTER_LANE_BYTES:] + _FRAME_START.pack(_HEADER_FRAME, self._channel, header_size)
        before += _CONTENT_START.pack(_BASIC_CLASS, 0, 0)[:-8]  # without the body's size
        marks = [_SEQ_MARK, *([_GUILD_MARK] if has_guild else []), _TIME_MARK, id_mark, id_mark, id_mark]
        pieces = _cut(properties, marks)
        pieces[-1] += _FRAME_END + _FRAME_START.pack(_BODY_FRAME, self._channel, 0)[:-4]  # without its size
        id_format = f"{id_length}s"
        values = ["i", *(["q"] if has_guild else []), "d", id_format, id_format, id_format, f"I{len(BODY_PREFIX)}s"]
        fields = "".join(f"{len(piece)}s{value}" for piece, value in zip(pieces, values, strict=True))
        pack = Struct(f">{len(start)}s2s{len(before)}sQ{fields}").pack

        if has_guild:
            p0, p1, p2, p3, p4, p5, p6 = pieces

            def fill(envelope: Envelope, task_id: bytes, size: int) -> bytes:
                return pack(
                    start,
                    _LANE_DIGITS[(envelope.guild_id >> 22) % LANES],  # type: ignore[operator]
                    before,
                    size,
                    p0,
                    envelope.seq,
                    p1,
                    envelope.guild_id,
                    p2,
                    envelope.received_at,
                    p3,
                    task_id,
                    p4,
                    task_id,
                    p5,
                    task_id,
                    p6,
                    size,
                    BODY_PREFIX,
                )

        else:
            p0, p1, p2, p3, p4, p5 = pieces

            def fill(envelope: Envelope, task_id: bytes, size: int) -> bytes:
                return pack(
                    start,
                    _LANE_DIGITS[0],
                    before,
                    size,
                    p0,
                    envelope.seq,
                    p1,
                    envelope.received_at,
                    p2,
                    task_id,
                    p3,
                    task_id,
                    p4,
                    task_id,
                    p5,
                    size,
                    BODY_PREFIX,
                )

        return fill

    def _encode_whole(self, envelope: Envelope) -> bytes:
        """Return the frames of a message that fits no template: large, traced, or with unusual numbers."""
        body = envelope.body
        properties = _properties(headers_of(envelope, self._origin), envelope.task_id)
        content = _CONTENT_START.pack(_BASIC_CLASS, 0, len(body)) + properties
        frames = [self._method_frame(envelope), self._frame(_HEADER_FRAME, content)]
        frames += [
            self._frame(_BODY_FRAME, body[start : start + self._max_chunk_bytes])
            for start in range(0, len(body), self._max_chunk_bytes)
        ]
        return b"".join(frames)

    def _method_frame(self, envelope: Envelope) -> bytes:
        is_mandatory, is_immediate = True, False
        arguments = (0, EVENTS_EXCHANGE, routing_key(envelope.event, envelope.guild_id), is_mandatory, is_immediate)
        return self._frame(METHOD_FRAME, _BASIC_PUBLISH + dumps("Bssbb", arguments))

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return _FRAME_START.pack(kind, self._channel, len(payload)) + payload + _FRAME_END


def _properties(headers: Mapping[str, Any], task_id: str | bytes) -> bytes:
    """Return the serialised properties of a task message."""
    message = amqp.Message(
        content_type="application/json",
        content_encoding="utf-8",
        application_headers=headers,
        delivery_mode=2,  # kept over a restart of the broker
        correlation_id=task_id,
    )
    serialized: bytes = message._serialize_properties()  # noqa: SLF001 - what py-amqp's own frame writer calls
    return serialized


def _cut(data: bytes, marks: list[bytes]) -> list[bytes]:
    """Return what stands before, between and after ``marks``, which come in this order."""
    pieces = []
    for mark in marks:
        piece, found, data = data.partition(mark)
        assert found, "a header is not where its template has it"
        pieces.append(piece)
    return [*pieces, data]


def cut_frames(data: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Split what the broker sent.

    Returns:
        The whole frames as (type, channel, payload), and the beginning of the next one.

    Raises:
        BrokerUnavailable: These are no frames.
    """
    frames = []
    start, end = 0, len(data)
    while end - start >= _FRAME_OVERHEAD_BYTES:
        kind, channel, size = _FRAME_START.unpack_from(data, start)
        payload_start = start + _FRAME_START.size
        payload_end = payload_start + size
        if payload_end >= end:
            break
        if data[payload_end] != _FRAME_END[0]:
            raise BrokerUnavailable("the broker", "it sent something that is not AMQP")
        frames.append((kind, channel, data[payload_start:payload_end]))
        start = payload_end + 1
    return frames, data[start:]
