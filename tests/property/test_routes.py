"""What a route keeps is the same for every number and every share."""

from hypothesis import given
from hypothesis import strategies as st

from gateway_service.settings.routes import parse_routes


@given(st.integers(1, 2**53), st.floats(0.001, 1))
def test_a_replayed_dispatch_is_sampled_as_before(seq, fraction):
    routes = parse_routes({"*": {"sample": fraction}})

    assert routes.admits("A", seq) is parse_routes(routes.as_mapping()).admits("B", seq)
