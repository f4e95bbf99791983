"""Frames are found wherever the network cuts the stream."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from gateway_service.connection.frames import FrameSplitter
from tests.unit.connection.test_frames import serialised

payloads = st.one_of(st.binary(max_size=200), st.integers(120, 70_000).map(lambda size: b"x" * size))
frames = st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]), payloads), max_size=6)


def expected(opcode: Opcode, payload: bytes) -> tuple[int, bytes]:
    whole = serialised(opcode, payload)
    return (whole[0], whole if opcode is Opcode.PING else payload)


@given(frames, st.lists(st.integers(0, 80_000), max_size=8))
def test_frames_are_the_same_however_the_stream_is_cut(sent: list[tuple[Opcode, bytes]], cuts: list[int]) -> None:
    stream = b"".join(serialised(*frame) for frame in sent)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    splitter = FrameSplitter()

    received = [frame for start, end in pairwise(edges) for frame in splitter.feed(stream[start:end])]

    assert received == [expected(*frame) for frame in sent]
