import json
from pathlib import Path

import pytest

from gateway_service.errors import RemoteProtocolError
from gateway_service.protocol.constants import MAX_SEQ
from gateway_service.protocol.payloads import decode


def usual(d: str, event: str = "MESSAGE_CREATE", seq: int = 7) -> bytes:
    return f'{{"t":"{event}","s":{seq},"op":0,"d":{d}}}'.encode()


@pytest.mark.parametrize(
    "d", ["null", "{}", "[1,2]", '"text"', "17", "true", "-0.0", '{"id":{"d":1}}', '{ "guild_id" : "1" } ']
)
def test_a_dispatch_as_discord_writes_it(d):
    assert decode(usual(d)) == (0, "MESSAGE_CREATE", 7, json.loads(d), d.encode())


def test_members_at_which_the_gateway_does_not_look_are_only_in_the_text():
    assert decode(usual('{"guild_id":"5","content":"x"}'))[3:] == (
        {"guild_id": "5"},
        b'{"guild_id":"5","content":"x"}',
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"op":0,"t":"X","s":7,"d":{"a":1}}',
        '{"t":"X","s":7,"d":{"a":1},"op":0}',
        ' { "d" : {"a":1} , "s" : 7 , "t" : "X" , "op" : 0 } \n',
        '{"t":"X","s":7,"op":0,"d":{"a":1},"extra":[]}',
        '{"t":"X","s":7,"op":0,"d":{"b":2},"d":{"a":1}}',
        '{"t":"X","s":7,"op":0,"d":{"b":2},"op":0,"d":{"a":1}}',
        '{"t":"X","s":7,"op":0,"d":9,"\\u0064":{"a":1}}',
    ],
)
def test_the_text_of_d_is_exact_however_the_payload_is_written(text):
    assert decode(text.encode())[:3] == (0, "X", 7)
    assert decode(text.encode())[4] == b'{"a":1}'


@pytest.mark.parametrize(
    "d", ['{"n":123456789012345678901234567890}', "[1e400]", '"\\ud83d"', '{"x":0.10000000000000000001}']
)
def test_values_that_orjson_cannot_keep_stay_exact_in_the_text(d):
    assert decode(usual(d))[4] == d.encode()


def test_an_odd_event_name_is_kept():
    assert decode(usual("{}", event="WEIRD NAME/../#*."))[1] == "WEIRD NAME/../#*."


@pytest.mark.parametrize(
    ("members", "event", "seq"),
    [
        ('"t":null,"s":7', None, 7),
        ('"t":5,"s":7', None, 7),
        ('"t":"X","s":null', "X", None),
        ('"t":"X","s":"7"', "X", None),
        ('"t":"X","s":true', "X", None),
        ('"t":"X","s":0', "X", None),
        ('"t":"X","s":-1', "X", None),
        (f'"t":"X","s":{MAX_SEQ + 1}', "X", None),
        ('"t":"X"', "X", None),
    ],
)
def test_a_dispatch_without_name_or_number(members, event, seq):
    assert decode(f'{{{members},"op":0,"d":{{}}}}'.encode())[1:3] == (event, seq)


def test_a_dispatch_without_d_has_null():
    assert decode(b'{"t":"X","s":7,"op":0}') == (0, "X", 7, None, b"null")


@pytest.mark.parametrize("text", ['{"t":null,"s":null,"op":11,"d":null}', '{"op":11}', '{"op":11,"x":"\\ud83d"}'])
def test_other_opcodes_have_no_dispatch(text):
    assert decode(text.encode())[:4] == (11, None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"\xff",
        b'{"op":}',
        b'{"op":0,}',
        b'{"op" 0}',
        b'{"op":0',
        b'{"op":0}}',
        b'{1:2,"op":0}',
        b'{"op":"0"}',
        b'{"op":true}',
        b'{"op":0.0}',
        b'{"op":null,"x":"\\ud83d"}',
        b'{"op":0,"d":NaN}',
        b'{"op":0,"d":"\xff"}',
        b'{"t":"X","s":7,"op":0,"d":}',
        b'{"t":"X","s":7,"op":0,"d":{"a":1}',
        b'{"t":"X","s":7,"op":0,"d":{"a":1}]}',
        b'{"op":0,"d":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"op":0,"d":' + b"1" * 5000 + b"}",
    ],
)
def test_anything_else_is_the_servers_fault(text):
    with pytest.raises(RemoteProtocolError):
        decode(text)


@pytest.mark.parametrize("text", Path(__file__).with_name("payloads.jsonl").read_bytes().splitlines())
def test_payloads_that_break_naive_code(text):
    payload = json.loads(text)

    op, event, seq, _, raw = decode(text)

    assert (op, event, seq, json.loads(raw)) == (payload["op"], payload["t"], payload["s"], payload["d"])
