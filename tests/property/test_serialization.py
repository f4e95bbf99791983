"""JSON as workers write and read it."""

from hypothesis import given
from hypothesis import strategies as st

from gateway_service.worker.serialization import dumps, loads

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_every_json_value_survives(value):
    assert repr(loads(dumps(value))) == repr(value)
