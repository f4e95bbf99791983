"""Whoever asks for a change and is refused is in the log, and what they sent is not."""

import json

import httpx
import pytest

from gateway_service.control.body_limit import MAX_BODY_BYTES
from gateway_service.control.control import Control
from gateway_service.control.feed import Feed
from gateway_service.control.http_api import HttpApi
from gateway_service.control.local import Host
from gateway_service.control.node_events import NodeEvents
from gateway_service.control.operations import operation_named
from gateway_service.control.remote_control import MAX_CALLER_CHARS, RemoteControl
from gateway_service.control.tokens import read_tokens
from gateway_service.refusals import ControlError
from tests.support.fleet import FakeFleet, shard

READER, OPERATOR, DEPLOY = "token-of-the-reader", "token-of-the-operator", "token-of-the-deploy"
SENT = "what-nobody-may-read-in-a-log"


def control():
    return Control(Host(FakeFleet(shard(0), num_shards=2), "gateway@here", lambda _reason: None))


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """Return a function that sends a request and returns its code."""
    tokens = tmp_path_factory.mktemp("door") / "tokens"
    tokens.write_text(f"dashboard read {READER}\noperator control {OPERATOR}\ndeploy control {DEPLOY}\n")
    subject = control()
    app = HttpApi(subject, Feed(subject.host), read_tokens(tokens), "1").app

    async def send(method, path, token=OPERATOR, headers=None, address="127.0.0.1", **more):
        transport = httpx.ASGITransport(app, client=(address, 123))
        authorization = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            response = await client.request(method, path, headers=authorization | (headers or {}), **more)
        return response.json().get("code", "ok")

    return send


def noted(caplog):
    fields = [record.event_fields for record in caplog.records if record.message == "control.called"]
    assert SENT not in str(fields)
    return [(each["operation"], each["caller"], each["outcome"]) for each in fields]


@pytest.mark.parametrize(
    ("request_line", "more", "refusal"),
    [
        ("POST /v1/shards/x/restart", {}, ("restart_shard", "invalid_argument")),
        (f"POST /v1/shards/0/restart?mode={SENT}", {}, ("restart_shard", "invalid_argument")),
        ("PUT /v1/presence", {"json": {SENT: 1}}, ("update_presence", "invalid_argument")),
        ("PUT /v1/presence", {"json": {"presence": {"status": SENT}}}, ("update_presence", "invalid_argument")),
        ("PUT /v1/presence", {"content": b"[" * 60_000}, ("update_presence", "invalid_argument")),
        ("PUT /v1/presence", {"content": b" " * (MAX_BODY_BYTES + 1)}, ("update_presence", "too_large")),
        ("POST /v1/drain", {"headers": {"Idempotency-Key": SENT * 10}}, ("drain", "invalid_argument")),
        ("POST /v1/shards/0/restart?mode=identify&mode=resume", {}, ("restart_shard", "invalid_argument")),
        (f"POST /v1/drain?host={SENT}", {}, ("drain", "invalid_argument")),
        (f"PUT /v1/presence?shard_ids={SENT}", {"json": {"presence": None}}, ("update_presence", "invalid_argument")),
        ("POST /v1/shards/0/restart", {"json": {"mode": SENT}}, ("restart_shard", "invalid_argument")),
    ],
)
async def test_a_request_that_cannot_be_read_is_noted(door, caplog, request_line, more, refusal):
    caplog.set_level("INFO")
    method, _, path = request_line.partition(" ")
    more.setdefault("headers", {})["Content-Type"] = "application/json"

    assert await door(method, path, **more) == refusal[1]

    assert noted(caplog) == [(refusal[0], "http:operator@127.0.0.1", refusal[1])]


@pytest.mark.parametrize(
    "more", [{"json": {"channel_id": SENT}}, {"content": b" " * (MAX_BODY_BYTES + 1)}, {"json": {}}]
)
async def test_a_scope_that_is_missing_is_found_before_the_arguments_are_looked_at(door, caplog, more):
    assert await door("PUT", "/v1/voice/4", READER, **more) == "forbidden"

    assert noted(caplog) == [("update_voice_state", "http@127.0.0.1", "forbidden")]


async def test_a_key_that_comes_again_is_of_the_name_whatever_the_address(door, caplog):
    caplog.set_level("INFO")

    for token, address in ((OPERATOR, "10.0.0.1"), (OPERATOR, "10.0.0.2"), (DEPLOY, "10.0.0.2")):
        headers = {"Idempotency-Key": "restart-0"}
        assert await door("POST", "/v1/shards/0/restart", token, headers, address) == "ok"

    assert noted(caplog) == [
        ("restart_shard", "http:operator@10.0.0.1", "ok"),
        ("restart_shard", "http:operator@10.0.0.2", "repeated"),
        ("restart_shard", "http:deploy@10.0.0.2", "ok"),
    ]


async def test_a_list_may_come_as_often_as_it_has_items(door):
    nobody_there = await door("POST", "/v1/rolling-restart?then=gateway@b&then=gateway@c")

    assert nobody_there == "not_supported"


async def test_a_call_of_the_program_itself_is_noted(caplog):
    caplog.set_level("INFO")
    subject = control()

    for perform in (subject.perform, subject.perform_here):
        with pytest.raises(ControlError):
            await perform(operation_named("restart_shard"), {"shard_id": SENT}, "test")

    assert noted(caplog) == [("restart_shard", "test", "invalid_argument")] * 2


@pytest.mark.parametrize(
    ("arguments", "destination", "code"),
    [
        ({"shard_id": SENT}, None, "invalid_argument"),
        ([SENT], None, "invalid_argument"),
        ({"shard_id": 1}, ["gateway@here"], "other_host"),
    ],
)
async def test_a_message_over_the_broker_that_is_refused_is_noted(caplog, arguments, destination, code):
    caplog.set_level("INFO")
    remote = RemoteControl(None, control(), NodeEvents("gateway@here"))
    message = {"method": "restart_shard", "arguments": arguments, "destination": destination}

    replies = await remote.answer(["gateway@here"], json.loads(json.dumps(message)))

    assert replies["gateway@here"]["error"].startswith(f"{code}: ")
    assert noted(caplog) == [("restart_shard", "celery", code)]


async def test_a_name_over_the_broker_is_cut(caplog):
    caplog.set_level("INFO")
    remote = RemoteControl(None, control(), NodeEvents("gateway@here"))
    names = {"asked_by": "x" * 10_000, "asked_for": "y" * 10_000}

    await remote.answer(["gateway@here"], {"method": "drain", "arguments": names})

    assert noted(caplog) == [("drain", f"celery:{'x' * MAX_CALLER_CHARS} for {'y' * MAX_CALLER_CHARS}", "ok")]


async def test_who_asked_the_supervisor_that_passed_a_call_on_is_noted(caplog):
    caplog.set_level("INFO")
    remote = RemoteControl(None, control(), NodeEvents("gateway@here"))
    names = {"asked_by": "gateway@there", "asked_for": "http:operator@10.0.0.7"}

    await remote.answer(["gateway@here"], {"method": "drain", "arguments": names})

    assert noted(caplog) == [("drain", "celery:gateway@there for http:operator@10.0.0.7", "ok")]
