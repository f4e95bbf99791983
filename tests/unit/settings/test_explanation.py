import pytest

from gateway_service.settings.explanation import explain
from gateway_service.settings.routes import parse_routes

ROUTES = parse_routes(
    {
        "MESSAGE_*": {"queue": "messages", "ttl_s": 30},
        "MESSAGE_CREATE": {"lanes": 8},
        "TYPING_START": {"drop": True},
        "PRESENCE_UPDATE": {"sample": 0.5},
    }
)
GUILD = 41771983423143937


def test_a_dispatch_without_a_route_goes_to_the_queue_of_its_name():
    found = explain(ROUTES, "GUILD_CREATE", guild_id=GUILD)

    assert (found.pattern, found.outcome, found.routing_key) == (None, "published", "GUILD_CREATE.38")
    assert found.route == "GUILD_CREATE"


def test_it_is_told_which_pattern_decides_and_which_have_no_say():
    found = explain(ROUTES, "MESSAGE_CREATE", guild_id=GUILD)

    assert (found.pattern, found.also_matching) == ("MESSAGE_CREATE", ("MESSAGE_*",))
    assert (found.route, found.lane, found.ttl_s) == ("MESSAGE_CREATE", "lane-6-of-8", None)


def test_a_folded_event_has_the_queue_of_its_route():
    assert explain(ROUTES, "MESSAGE_UPDATE").route == "messages"


@pytest.mark.parametrize(
    ("event", "seq", "outcome"),
    [
        ("TYPING_START", None, "dropped"),
        ("PRESENCE_UPDATE", None, None),
        ("PRESENCE_UPDATE", 1, "sampled out"),
        ("PRESENCE_UPDATE", 2, "published"),
    ],
)
def test_what_the_gateway_leaves_out_is_told(event, seq, outcome):
    assert explain(ROUTES, event, seq=seq).outcome == outcome
