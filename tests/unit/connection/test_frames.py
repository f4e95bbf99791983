from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway_service.connection.frames import MAX_FRAME_BYTES, NOT_A_FRAME, FrameSplitter

payloads = st.one_of(st.binary(max_size=200), st.integers(120, 70_000).map(lambda size: b"x" * size))
frames = st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]), payloads), max_size=6)


def serialised(opcode: Opcode, payload: bytes) -> bytes:
    if opcode is Opcode.PING:
        payload = payload[:125]  # the most a control frame may carry
    return Frame(opcode, payload).serialize(mask=False)


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


def test_a_frame_cut_at_every_byte_arrives_once() -> None:
    splitter = FrameSplitter()

    received = [frame for byte in serialised(Opcode.BINARY, b"y" * 300) for frame in splitter.feed(bytes([byte]))]

    assert received == [(0x82, b"y" * 300)]


def test_a_masked_frame_is_no_server_frame() -> None:
    masked = b"\x82\x81\0\0\0\0z"

    assert FrameSplitter().feed(serialised(Opcode.TEXT, b"{}") + masked) == [(0x81, b"{}"), (NOT_A_FRAME, masked)]


def test_an_absurd_length_is_not_waited_for() -> None:
    header = b"\x82\x7f" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big")

    assert FrameSplitter().feed(header) == [(NOT_A_FRAME, header)]


def test_a_fragment_comes_whole() -> None:
    fragment = Frame(Opcode.BINARY, b"half", fin=False).serialize(mask=False)

    assert FrameSplitter().feed(fragment) == [(0x02, fragment)]
