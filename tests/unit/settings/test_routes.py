import pytest

from gateway_service.settings.routes import Route, Routes, is_sampled, lanes_of_group, parse_routes
from gateway_service.settings.values import BadValue


def test_without_routes_everything_is_published_to_a_queue_of_its_own():
    routes = Routes()

    assert routes.of("MESSAGE_CREATE") == Route(pattern=None)
    assert routes.admits("MESSAGE_CREATE", 1)


def test_a_name_of_a_queue_is_the_short_form_of_a_table():
    assert parse_routes({"MESSAGE_*": "messages"}) == parse_routes({"MESSAGE_*": {"queue": "messages"}})


@pytest.mark.parametrize(
    ("event", "pattern"),
    [
        ("MESSAGE_CREATE", "MESSAGE_CREATE"),
        ("MESSAGE_UPDATE", "MESSAGE_[UD]*"),
        ("MESSAGE_REACTION_ADD", "MESSAGE_*"),
        ("MESSAGE_DELETE_BULK", "MESSAGE_*_BULK"),
        ("READY", "?????"),
        ("RESUMED", "*"),
    ],
)
def test_the_most_specific_pattern_decides_alone(event, pattern):
    patterns = ("*", "?????", "MESSAGE_*", "MESSAGE_[UD]*", "MESSAGE_*_BULK", "MESSAGE_CREATE*", "MESSAGE_CREATE")

    assert parse_routes(dict.fromkeys(patterns, "q")).of(event).pattern == pattern


def test_options_of_less_specific_patterns_have_no_say():
    routes = parse_routes({"MESSAGE_*": {"ttl_s": 5}, "MESSAGE_CREATE": "messages"})

    assert routes.of("MESSAGE_CREATE").ttl_s is None


def test_the_order_in_the_file_does_not_matter():
    one, two = {"A*": "a", "*A": "b"}, {"*A": "b", "A*": "a"}

    assert parse_routes(one) == parse_routes(two)


def test_an_odd_name_is_matched_by_its_token():
    assert parse_routes({"WEIRD*": "odd"}).of("WEIRD NAME/../#*.").queue == "odd"


def test_what_is_dropped_is_not_admitted():
    routes = parse_routes({"TYPING_START": {"drop": True}})

    assert not any(routes.admits("TYPING_START", seq) for seq in range(1, 1000))
    assert routes.admits("MESSAGE_CREATE", 1)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("start", [1, 10**9])
def test_a_sample_has_its_size_wherever_it_is_taken(fraction, start):
    kept = sum(is_sampled(seq, fraction) for seq in range(start, start + 10_000))

    assert abs(kept - 10_000 * fraction) <= 10


def test_routes_travel_as_a_mapping():
    routes = parse_routes(
        {"A*": "a", "B": {"drop": True}, "C": {"sample": 0.5, "ttl_s": 30, "lanes": 8, "queue": "c"}, "D": {}}
    )

    assert parse_routes(routes.as_mapping()) == routes


def test_routes_may_be_json_in_a_variable():
    assert parse_routes('{"MESSAGE_*": "messages"}').of("MESSAGE_CREATE").queue == "messages"


def test_names_that_come_once_are_not_remembered_for_ever():
    routes = parse_routes({"*": "all"})

    for number in range(5000):
        routes.of(f"NEW_{number}")

    assert len(routes._by_event) <= 1000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{", "is not JSON: Expecting property name"),
        ([], 'must be a table of patterns, such as "MESSAGE_*" = "messages"'),
        ({"MESSAGE.*": "x"}, "has the pattern 'MESSAGE.*'; it must be a dispatch name"),
        ({"": "x"}, "has the pattern ''"),
        ({"A[": "x"}, "has the pattern 'A['"),
        ({"A": 5}, "'A': must be the name of a queue or a table of options, not 5"),
        ({"A": {"qeue": "x"}}, "'A': has an unknown option 'qeue'; did you mean 'queue'?"),
        ({"A": {"drop": 1}}, "'A': drop must be true or false, not 1"),
        ({"A": {"drop": True, "ttl_s": 1}}, "'A': drops what it matches, so ttl_s has no meaning beside it"),
        ({"A": {"sample": 0}}, "'A': sample must be a fraction above 0 and up to 1, not 0; or set drop"),
        ({"A": {"sample": "1%"}}, "'A': sample must be a fraction above 0 and up to 1, not '1%'"),
        ({"A": {"ttl_s": True}}, "'A': ttl_s must be seconds above 0, not True"),
        ({"A": {"lanes": 3}}, "'A': lanes must be one of 1, 2, 4, 8, 16, 32, 64, not 3"),
        ({"A": "a.b"}, "'A': queue must be letters, digits, '_' and '-', not beginning with 'lane', not 'a.b'"),
        ({"A": "lane-1"}, "'A': queue must be letters"),
    ],
)
def test_a_bad_table_is_refused_with_a_sentence(value, reason):
    with pytest.raises(BadValue) as refused:
        parse_routes(value)

    assert str(refused.value).startswith(reason)


def test_a_group_has_the_lanes_that_its_routes_name():
    routes = parse_routes({"MESSAGE_*": {"lanes": 16}})

    assert lanes_of_group(routes, ["MESSAGE_CREATE", "GUILD_CREATE"], 8) == 16
    assert lanes_of_group(routes, ["GUILD_CREATE"], 8) == 8


def test_two_numbers_of_lanes_in_one_group_are_refused():
    routes = parse_routes({"MESSAGE_*": {"lanes": 16}, "GUILD_*": {"lanes": 8}})

    with pytest.raises(BadValue, match=r"'GUILD_\*' \(8\) and 'MESSAGE_\*' \(16\) have different lanes"):
        lanes_of_group(routes, ["MESSAGE_CREATE", "GUILD_CREATE"], 8)
