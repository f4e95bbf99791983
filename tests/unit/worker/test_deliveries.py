import struct

import pytest
from amqp.basic_message import Message
from amqp.serialization import dumps

from gateway_service.worker.deliveries import Incomplete, LeftToLibrary, read_delivery


def frame(kind, payload, channel=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def frames(properties, body, *, tag=7, redelivered=True, channel=1):
    method = b"\0\x3c\0\x3c" + dumps("sLbss", ("tag", tag, redelivered, "exchange", "key"))
    header = struct.pack(">HHQ", 60, 0, len(body)) + Message(**properties)._serialize_properties()
    return frame(1, method, channel) + frame(2, header, channel) + frame(3, body, channel)


def test_a_message_is_read_whole_and_nothing_after_it():
    buffer = frames({"content_type": "a/b"}, b"[1]", channel=3)

    delivery = read_delivery(buffer + b"next", 100)

    assert delivery == (3, "tag", 7, True, "exchange", "key", {"content_type": "a/b"}, b"[1]", len(buffer))


def test_a_message_that_has_not_arrived_whole_is_waited_for():
    buffer = frames({"correlation_id": "x"}, b"[1]")
    end_of_method = 7 + struct.unpack_from(">BHI", buffer)[2] + 1

    for end in range(end_of_method, len(buffer)):
        with pytest.raises(Incomplete):
            read_delivery(buffer[:end], 100)


@pytest.mark.parametrize(
    "buffer",
    [
        pytest.param(frames({}, b""), id="no-body"),
        pytest.param(frames({}, b"x" * 101), id="long-body"),
        pytest.param(frames({"message_id": "x"}, b"x"), id="rare-property"),
        pytest.param(frames({"application_headers": {"x": b"\xff"}}, b"x"), id="no-text"),
        pytest.param(frames({}, b"x")[:-1] + b"\0", id="wrong-frame-end"),
        pytest.param(frames({}, b"x").replace(b"\x03\0\x01", b"\x03\0\x02"), id="another-channel"),
    ],
)
def test_what_is_rare_is_left_to_the_library(buffer):
    with pytest.raises(LeftToLibrary):
        read_delivery(buffer, 100)
