from websockets.frames import Frame, Opcode

from gateway_service.connection.frames import MAX_FRAME_BYTES, NOT_A_FRAME, FrameSplitter


def serialised(opcode: Opcode, payload: bytes) -> bytes:
    if opcode is Opcode.PING:
        payload = payload[:125]  # the most a control frame may carry
    return Frame(opcode, payload).serialize(mask=False)


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
