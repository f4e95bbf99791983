"""Any key without wildcards, as a binding."""

from hypothesis import given
from hypothesis import strategies as st

from gateway_service.publisher.bindings import is_match


@given(st.lists(st.text("ab", max_size=2), min_size=1, max_size=4).map(".".join))
def test_a_key_without_wildcards_wants_itself(key: str) -> None:
    assert is_match(key, key)
