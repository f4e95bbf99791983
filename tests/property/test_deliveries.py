"""A delivery is read as py-amqp would read it."""

import struct

from amqp.basic_message import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway_service.worker.deliveries import read_delivery
from tests.unit.worker.test_deliveries import frames

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


def read_by_library(properties):
    message = Message()
    message.inbound_header(struct.pack(">HxxQ", 60, 1) + Message(**properties)._serialize_properties())
    return message.properties


@given(PROPERTIES)
def test_properties_are_what_the_library_reads(properties):
    assert repr(read_delivery(frames(properties, b"x"), 100).properties) == repr(read_by_library(properties))
