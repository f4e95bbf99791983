"""``gateway-service routes test``: offline, one dispatch at a time."""

import json

import pytest

from gateway_service.cli.main import run
from gateway_service.errors import EX_CONFIG

TABLE = """
[routes]
"MESSAGE_*" = "messages"
"MESSAGE_CREATE" = { ttl_s = 30, sample = 0.5 }
"TYPING_START" = { drop = true }
"""
MESSAGE = {"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {"guild_id": "41771983423143937", "content": "secret"}}


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text(TABLE)

    def ask(payload, *arguments):
        (tmp_path / "event.json").write_text(payload if isinstance(payload, str) else json.dumps(payload))
        code = run(["routes", "test", "event.json", *arguments])
        return code, *capsys.readouterr()

    return ask


def test_the_decision_is_explained(ask):
    code, printed, _ = ask(MESSAGE)

    assert code == 0
    assert printed.splitlines() == [
        "event       MESSAGE_CREATE",
        "decided by  'MESSAGE_CREATE', more specific than 'MESSAGE_*'",
        "sample      0.5 are published; this one is",
        "gateway     publishes it to gateway.events with the key MESSAGE_CREATE.38",
        "queue       <group>.MESSAGE_CREATE in each group with a handler for MESSAGE_CREATE",
        "ttl         handlers do not get it 30 s after it was received",
    ]


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        ({"t": "TYPING_START"}, "gateway     drops it and counts it as filtered"),
        ({**MESSAGE, "s": 1}, "gateway     leaves it out and counts it as filtered"),
    ],
)
def test_what_is_not_published_has_an_exit_code_of_its_own(ask, payload, line):
    code, printed, _ = ask(payload)

    assert (code, printed.splitlines()[-1]) == (1, line)


def test_json_has_every_part_of_the_decision(ask):
    code, printed, _ = ask({**MESSAGE, "t": "MESSAGE_UPDATE"}, "--json")

    assert code == 0
    assert json.loads(printed) == {
        "event": "MESSAGE_UPDATE",
        "seq": 2,
        "guild_id": 41771983423143937,
        "pattern": "MESSAGE_*",
        "also_matching": [],
        "outcome": "published",
        "sample": 1.0,
        "routing_key": "MESSAGE_UPDATE.38",
        "route": "messages",
        "ttl_s": None,
        "lane": None,
    }


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ("{", "gateway-service: event.json: is not JSON: "),
        ([], "gateway-service: event.json: must be a dispatch as Discord sends it: "),
        ({"t": None}, "gateway-service: event.json: must be a dispatch as Discord sends it: "),
        ({"t": "A", "op": 7}, "gateway-service: event.json: has op 7, and only dispatches, op 0, have a route"),
        ({"t": "A", "s": "x"}, "gateway-service: event.json: s must be a whole number, not 'x'"),
    ],
)
def test_a_bad_payload_is_one_sentence(ask, payload, sentence):
    code, _, errors = ask(payload)

    assert code == EX_CONFIG
    assert errors.startswith(sentence)
    assert len(errors.splitlines()) == 1


def test_a_bad_route_is_one_sentence(ask, monkeypatch):
    monkeypatch.setenv("GATEWAY_ROUTES", '{"A": {"lanes": 3}}')

    code, _, errors = ask(MESSAGE)

    assert code == EX_CONFIG
    assert errors.startswith("gateway-service: GATEWAY_ROUTES: 'A': lanes must be one of 1, 2, ")
