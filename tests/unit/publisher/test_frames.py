"""A message is split where a frame is full, and what is not AMQP is told."""

import pytest

from gateway_service.errors import BrokerUnavailable
from gateway_service.publisher.frames import FrameEncoder, cut_frames
from tests.support.publishing import ORIGIN, make_envelope


@pytest.mark.parametrize("around", range(-3, 4))
def test_a_body_is_split_exactly_where_a_frame_is_full(around: int) -> None:
    frame_max = 4096
    envelope = make_envelope(raw=b"x" * (frame_max - 8 - len(make_envelope(raw=b"").body) + around))

    parts: list[bytes] = []
    FrameEncoder(ORIGIN, 5, frame_max).encode(envelope, parts)
    frames, rest = cut_frames(b"".join(parts))

    bodies = [payload for kind, _, payload in frames if kind == 3]
    assert b"".join(bodies) == envelope.body
    assert len(bodies) == (1 if around <= 0 else 2)
    assert max(len(payload) + 8 for _, _, payload in frames) <= frame_max
    assert rest == b""


def test_what_is_not_amqp_is_told() -> None:
    with pytest.raises(BrokerUnavailable, match="not AMQP"):
        cut_frames(b"\x01\x00\x01\x00\x00\x00\x01a\x00")
