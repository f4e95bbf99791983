"""Whatever lies in a queue of ours: it is what the gateway put there, or it is refused with a reason."""

import json
from contextlib import suppress
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from gateway_service.contract import Dispatch
from gateway_service.publisher.envelope import Envelope, Origin, headers_of
from gateway_service.worker.serialization import UndecodableBody
from gateway_service.worker.strategy import _payload_of_dispatch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
HEADER = JSON | st.floats() | st.binary(max_size=4) | st.lists(st.integers(0, 4), min_size=2, max_size=2)
HEADERS = st.dictionaries(
    st.sampled_from(["event", "shard", "seq", "session", "guild_id", "received_at", "kind"]), HEADER, max_size=7
)
ENVELOPES = st.builds(
    Envelope,
    event=st.text(max_size=30),
    seq=st.integers(1, 2**62),
    session=st.just("0123456789abcdef"),
    shard_id=st.integers(0, 100),
    num_shards=st.just(101),
    guild_id=st.none() | st.integers(-(2**70), 2**70),
    received_at=st.floats(0, 1e10),
    kind=st.none(),
    raw=JSON.map(lambda value: json.dumps(value).encode()),
)


def message(body, headers, content_type="application/json"):
    return SimpleNamespace(body=body, headers=headers, content_type=content_type)


@given(envelope=ENVELOPES)
def test_what_the_gateway_writes_a_worker_reads(envelope):
    headers = headers_of(envelope, Origin(bot_id="100"))

    [arguments, _, _] = _payload_of_dispatch(message(envelope.body, headers))

    assert repr(arguments) == repr([json.loads(envelope.raw)])
    dispatch = Dispatch.from_headers(headers)
    assert (dispatch.event, dispatch.seq, dispatch.guild_id) == (envelope.event, envelope.seq, envelope.guild_id)
    assert dispatch.id == envelope.task_id


@given(
    body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps([[value], {}, None]).encode()),
    headers=HEADERS,
    content_type=st.none() | st.sampled_from(["application/json", "application/x-gateway-json"]) | st.text(max_size=8),
)
def test_anything_else_is_refused_with_a_reason(body, headers, content_type):
    with suppress(UndecodableBody):
        [arguments, _, _] = _payload_of_dispatch(message(body, headers, content_type))
        assert len(arguments) == 1
        assert Dispatch.from_headers(headers)
