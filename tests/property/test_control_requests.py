"""Whatever a door of the control plane is given, it answers, or refuses in words, and stays open."""

import asyncio
import json
from contextlib import suppress
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_service.control.control import Control
from gateway_service.control.feed import Feed
from gateway_service.control.http_api import HttpApi
from gateway_service.control.local import Host
from gateway_service.control.node_events import NodeEvents
from gateway_service.control.operations import OPERATIONS
from gateway_service.control.remote_control import RemoteControl
from gateway_service.control.replies import Answer
from gateway_service.control.tokens import Tokens, read_tokens
from gateway_service.refusals import ControlError
from tests.support.fleet import FakeFleet, shard

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
# What waits for a real process, or ends it.
QUIET = sorted(OPERATIONS.keys() - {"rolling_restart"})


def control():
    fleet = FakeFleet(shard(0), shard(1), num_shards=2)
    fleet.answer = [{"members": [{}]}]
    return Control(Host(fleet, "gateway@here", lambda _reason: None))


@st.composite
def requests(draw):
    """An operation with arguments of its own names and of others; nobody wants to wait."""
    operation = OPERATIONS[draw(st.sampled_from(QUIET))]
    names = st.sampled_from([*operation.arguments.model_fields, "other"])
    likely = JSON | st.integers(0, 3) | st.integers(0, 2**63).map(str)
    given = draw(st.dictionaries(names, likely, max_size=4))
    return operation, {name: value for name, value in given.items() if name not in {"wait_s", "timeout_s"}}


@given(request=requests())
def test_any_arguments_are_taken_or_refused_in_words(request):
    with suppress(ControlError):
        assert isinstance(asyncio.run(control().perform(*request, "test")), Answer)


def ask(app, method, path, **more):
    async def send():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


@pytest.fixture(scope="module")
def app():
    subject = control()
    return HttpApi(subject, Feed(subject.host), Tokens({}), "1").app


@given(
    operation=st.sampled_from(QUIET).map(OPERATIONS.get),
    body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from(["application/json", "text/plain", ""]),
)
def test_any_request_gets_an_answer_that_is_json(app, operation, body, kind):
    path = operation.path.format(shard_id=1, guild_id=4)
    response = ask(app, operation.method, path, content=body, headers={"content-type": kind})

    assert response.status_code < 500 or response.json()["code"]
    assert isinstance(response.json(), dict)


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{}", 500, "a fault in this program; its log has the traceback"),
        (b"[" * 60_000, 422, "body: There was an error parsing the body"),
        (b'{"timeout_s": }', 422, "body: is not JSON: Expecting value at character 15"),
        (b'{"timeout_s": 0}', 422, "timeout_s: Input should be greater than 0"),
    ],
    ids=["a fault of ours", "nested too deeply", "not JSON", "a wrong argument"],
)
def test_every_error_is_a_problem_in_words(body, status, detail):
    subject = control()
    subject.host.service.answer = []  # Discord answers once, or a ControlError says that it did not
    app = HttpApi(subject, Feed(subject.host), Tokens({}), "1").app

    async def send():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"content-type": "application/json"}
            return await client.post("/v1/guilds/4/soundboard-sounds", content=body, headers=headers)

    response = asyncio.run(send())

    assert (response.status_code, response.json()["detail"]) == (status, detail)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "127.0.0.2:9420"}, 200),
        ({"Host": "[::1]:9420"}, 200),
        ({"Host": "rebound.example:9420", "Origin": "http://rebound.example:9420"}, 403),
        ({"Host": "localhost.rebound.example"}, 403),
        ({"Host": "10.0.0.1"}, 403),
        ({"Host": "[::1"}, 403),
    ],
)
def test_without_tokens_no_page_of_another_site_ends_the_service(app, headers, status):
    assert ask(app, "POST", "/v1/drain", headers=headers).status_code == status


@pytest.fixture
def guarded(tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("dashboard read token-of-the-dashboard\n")
    subject = control()
    return HttpApi(subject, Feed(subject.host), read_tokens(tokens), "1").app


def test_who_has_no_token_is_told_nothing_of_arguments(guarded):
    assert ask(guarded, "POST", "/v1/shards/x/restart").json()["code"] == "unauthorized"


def test_who_was_not_let_in_is_in_the_log(guarded, caplog):
    for headers in ({}, {"Authorization": "Bearer token-of-the-dashboard"}):
        ask(guarded, "POST", "/v1/drain", headers=headers)

    fields = [record.event_fields for record in caplog.records]
    assert [(each["operation"], each["outcome"]) for each in fields] == [
        ("drain", "unauthorized"),
        ("drain", "forbidden"),
    ]
    assert "'dashboard'" in fields[1]["reason"]
    assert "token-of-the-dashboard" not in str(fields)


@pytest.mark.parametrize("is_announced", [True, False])
def test_who_sends_too_much_may_finish_and_reads_why(app, is_announced):
    left = [b"x" * 50_000] * 4

    async def body():
        while left:
            yield left.pop()

    headers = {"content-length": "200000"} if is_announced else {}
    response = ask(app, "PUT", "/v1/presence", content=body(), headers=headers)

    assert (response.status_code, response.json()["code"], left) == (413, "too_large", [])


class Replies:
    """What a node would send."""

    def __init__(self):
        self.sent = []

    def reply(self, data, exchange, routing_key, ticket):
        self.sent.append((data, exchange, routing_key, ticket))


ADDRESSES = st.fixed_dictionaries({"exchange": JSON, "routing_key": JSON})
MESSAGES = JSON | st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from([*QUIET, "ping", "stats", "pool_restart", "shutdown"]) | JSON,
        "arguments": JSON | st.dictionaries(st.sampled_from(["shard_id", "guild_id"]), JSON, max_size=2),
        "destination": JSON | st.just(["gateway@here"]),
        "pattern": JSON | st.sampled_from(["gateway@*", "("]),
        "matcher": JSON | st.sampled_from(["glob", "pcre"]),
        "reply_to": JSON | ADDRESSES,
        "ticket": JSON,
    },
)


@given(body=MESSAGES, headers=JSON | st.fixed_dictionaries({"expires": JSON | st.floats()}))
def test_any_message_of_remote_control_is_answered_or_left_alone(body, headers):
    async def receive():
        remote, replies = RemoteControl(None, control(), NodeEvents("gateway@here")), Replies()
        remote.received(body, SimpleNamespace(headers=headers))
        while remote._replies.qsize() < remote._running:
            await asyncio.sleep(0)
        remote._send_replies(replies)
        return replies.sent

    for _, exchange, routing_key, _ in asyncio.run(receive()):
        assert (type(exchange), type(routing_key)) == (str, str)


def test_a_pattern_that_is_none_is_told(caplog):
    async def receive():
        remote = RemoteControl(None, control(), NodeEvents("gateway@here"))
        remote.received({"method": "ping", "pattern": "(", "matcher": "pcre"}, SimpleNamespace(headers={}))

    asyncio.run(receive())

    assert [record.message for record in caplog.records] == ["control.malformed"]


@pytest.mark.parametrize("name", QUIET)
def test_no_operation_takes_what_it_does_not_know(name):
    with pytest.raises(ControlError, match=name):
        asyncio.run(control().perform(OPERATIONS[name], {"surprise": 1}, "test"))
