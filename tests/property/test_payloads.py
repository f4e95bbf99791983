"""Whatever JSON a payload holds, it arrives as it was; whatever else it is, it is refused."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_service.contract import loads_exact
from gateway_service.errors import RemoteProtocolError
from gateway_service.protocol.constants import MAX_SEQ
from gateway_service.protocol.payloads import decode
from tests.unit.protocol.test_payloads import usual

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=2)), min_size=1, max_size=2))
def test_what_passes_is_json_that_a_worker_can_decode(value, cuts):
    text = usual(json.dumps({"guild_id": "1", "x": value}, ensure_ascii=False))
    for at, bytes_instead in cuts:
        text = text[:at] + bytes_instead + text[at + 1 :]

    with suppress(RemoteProtocolError):
        op, _, _, data, raw = decode(text)
        if op == 0:
            whole = loads_exact(raw)
            assert type(data) is not dict or data.items() <= whole.items()


@settings(max_examples=60)
@given(event=st.text(max_size=12), seq=st.integers(1, MAX_SEQ), data=JSON, order=st.permutations(["t", "s", "op", "d"]))
def test_every_json_value_comes_back_exactly(event, seq, data, order):
    members = {"t": event, "s": seq, "op": 0, "d": data}
    text = json.dumps({name: members[name] for name in order})

    op, event_back, seq_back, _, raw = decode(text.encode())

    assert (op, event_back, seq_back, json.loads(raw)) == (0, event, seq, data)


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_raise_anything_else(text):
    with suppress(RemoteProtocolError):
        decode(text)
