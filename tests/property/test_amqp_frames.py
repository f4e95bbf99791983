"""Our frames are those that py-amqp itself would write."""

from types import SimpleNamespace
from typing import Any

import amqp
from amqp import spec
from amqp.method_framing import frame_writer
from amqp.serialization import dumps
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_service.contract import EVENTS_EXCHANGE, routing_key
from gateway_service.publisher.envelope import Envelope, headers_of
from gateway_service.publisher.frames import FrameEncoder, cut_frames
from tests.support.publishing import ORIGIN, make_envelope

CHANNEL = 5


class Wire:
    """Where py-amqp's frame writer writes to."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> None:
        self.data += bytes(data)


def written_by_py_amqp(envelope: Envelope, frame_max: int) -> bytes:
    wire = Wire()
    write_frame = frame_writer(SimpleNamespace(frame_max=frame_max, bytes_sent=0), wire)
    message = amqp.Message(
        envelope.body,
        content_type="application/json",
        content_encoding="utf-8",
        application_headers=headers_of(envelope, ORIGIN),
        delivery_mode=2,
        correlation_id=envelope.task_id,
    )
    arguments = dumps("Bssbb", (0, EVENTS_EXCHANGE, routing_key(envelope.event, envelope.guild_id), True, False))
    write_frame(1, CHANNEL, spec.Basic.Publish, arguments, message)
    return wire.data


def written_by_us(encoder: FrameEncoder, envelope: Envelope) -> bytes:
    parts: list[bytes] = []
    encoder.encode(envelope, parts)
    return b"".join(parts)


envelopes = st.builds(
    make_envelope,
    st.one_of(st.integers(0, 10**7), st.integers(0, 2**40)),
    event=st.one_of(st.just("MESSAGE_CREATE"), st.text(max_size=20), st.text(min_size=300, max_size=300)),
    session=st.sampled_from(["0123456789abcdef", "fedcba9876543210", ""]),
    shard_id=st.integers(0, 3),
    num_shards=st.integers(1, 4),
    guild_id=st.one_of(st.none(), st.integers(0, 2**63 - 1), st.integers(2**40, 2**62)),
    received_at=st.floats(0, 2e9),
    kind=st.sampled_from([None, "startup", "join"]),
    raw=st.one_of(st.binary(max_size=50), st.integers(3900, 4100).map(lambda size: b"x" * size)),
)


@given(st.lists(envelopes, min_size=1, max_size=5), st.sampled_from([4096, 131072]))
@example([make_envelope(9), make_envelope(10)], 4096)
@example([make_envelope(2**31 - 1), make_envelope(2**31)], 4096)
@example([make_envelope(event="\udc80"), make_envelope(event="\u00ff" * 300)], 4096)
def test_frames_equal_those_of_py_amqp(batch: list[Envelope], frame_max: int) -> None:
    encoder = FrameEncoder(ORIGIN, CHANNEL, frame_max)

    for envelope in batch:
        assert written_by_us(encoder, envelope) == written_by_py_amqp(envelope, frame_max)


def test_templates_of_past_sessions_do_not_pile_up() -> None:
    encoder = FrameEncoder(ORIGIN, CHANNEL, 131072)

    for number in range(5000):
        encoder.encode(make_envelope(session=f"{number:016}"), [])

    assert len(encoder._templates) <= 4096


frames = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 65535), st.binary(max_size=30)), max_size=6)


def on_the_wire(frame: tuple[int, int, bytes]) -> bytes:
    kind, channel, payload = frame
    return kind.to_bytes(1) + channel.to_bytes(2) + len(payload).to_bytes(4) + payload + b"\xce"


@given(frames, st.data())
def test_frames_are_found_wherever_the_network_cuts_them(
    sent: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    wire = b"".join(map(on_the_wire, sent))
    cut = data.draw(st.integers(0, len(wire)))

    first, rest = cut_frames(wire[:cut])
    second, nothing = cut_frames(rest + wire[cut:])

    assert first + second == sent
    assert nothing == b""
