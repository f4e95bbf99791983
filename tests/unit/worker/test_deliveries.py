import struct

import pytest
from amqp.basic_message import Message
from amqp.serialization import dumps
from hypothesis import given
from hypothesis import strategies as st

from gateway_service.worker.deliveries import Incomplete, LeftToLibrary, read_delivery

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SHORT = st.text("abcżó.-0", max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SHORT, inner, max_size=4),
    max_leaves=10,
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "content_type": SHORT,
        "content_encoding": SHORT,
        "application_headers": st.dictionaries(SHORT, VALUES, max_size=8),
        "delivery_mode": st.integers(0, 255),
        "priority": st.integers(0, 255),
        "correlation_id": SHORT,
        "reply_to": SHORT,
    },
)


def frame(kind, payload, channel=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def frames(properties, body, *, tag=7, redelivered=True, channel=1):
    method = b"\0\x3c\0\x3c" + dumps("sLbss", ("tag", tag, redelivered, "exchange", "key"))
    header = struct.pack(">HHQ", 60, 0, len(body)) + Message(**properties)._serialize_properties()
    return frame(1, method, channel) + frame(2, header, channel) + frame(3, body, channel)


def read_by_library(properties):
    message = Message()
    message.inbound_header(struct.pack(">HxxQ", 60, 1) + Message(**properties)._serialize_properties())
    return message.properties


@given(PROPERTIES)
def test_properties_are_what_the_library_reads(properties):
    assert repr(read_delivery(frames(properties, b"x"), 100).properties) == repr(read_by_library(properties))


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
