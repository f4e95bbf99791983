"""Every operation through the HTTP door, for shards of both supervisors."""

import json
import os
import signal

import httpx
import pytest

from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import CutChunks, LimitRequest, Moment
from tests.support.control_stack import CONTROL_TOKEN, NUM_SHARDS, ON_ANY_BROKER, READ_TOKEN
from tests.support.secrecy import seen
from tests.support.waiting import wait_until


def test_the_shards_of_this_host_are_listed(stack):
    answer = stack.ok("GET /v1/shards", headers={"X-Forwarded-For": "192.0.2.1"})

    assert [shard["shard_id"] for shard in answer["result"]["shards"]][:4] == [0, 1, 2, 3]
    assert {shard["state"] for shard in answer["result"]["shards"]} == {"live"}
    assert answer["host"].startswith("gateway@")
    assert answer["caller"] == "http:operator@127.0.0.1"
    assert answer["took_ms"] > 0


def test_one_shard(stack):
    shard = stack.ok("GET /v1/shards/2")["result"]["shard"]

    assert (shard["shard_id"], shard["state"]) == (2, "live")


def test_processes(stack):
    processes = stack.ok("GET /v1/processes")["result"]["processes"]

    assert [process["shard_ids"] for process in processes][:2] == [[0, 1], [2, 3]]
    assert {process["state"] for process in processes} == {"RUNNING"}


def test_a_shard_resumes_on_request(stack):
    resumes = len(stack.simulator.transcript.payloads(Opcode.RESUME))
    before = stack.ok("GET /v1/shards/1")["result"]["shard"]

    answer = stack.ok("POST /v1/shards/1/restart?mode=resume&wait_s=60")

    assert answer["result"] == {"shard_ids": [1], "outcome": "resumed"}
    after = stack.ok("GET /v1/shards/1")["result"]["shard"]
    assert (after["session"], after["session_since"]) == (before["session"], before["session_since"])
    assert len(stack.simulator.transcript.payloads(Opcode.RESUME)) == resumes + 1


def test_a_presence_is_shown_and_kept_over_a_new_session(stack):
    stack.ok("PUT /v1/presence", json={"presence": {"status": "dnd"}, "shard_ids": [0]})
    wait_until(lambda: stack.simulator.presences.get(0, {}).get("status") == "dnd")

    stack.ok("POST /v1/shards/0/restart?mode=identify&wait_s=60")

    identify = stack.simulator.transcript.payloads(Opcode.IDENTIFY, shard_id=0)[-1]
    assert identify.data["presence"]["status"] == "dnd"


def test_what_is_wanted_of_a_shard_whose_process_is_down_is_reported_and_sent_once_it_is_live(stack):
    guild_id = stack.guild_of(6)
    os.kill(stack.ok("GET /v1/processes")["result"]["processes"][3]["pid"], signal.SIGKILL)
    wait_until(lambda: stack.ok("GET /v1/processes", service=1)["result"]["processes"][1]["state"] != "RUNNING")

    answer = stack.ok("PUT /v1/presence", json={"presence": {"status": "idle"}, "shard_ids": [4, 6, 7]})
    refused = stack.request(f"PUT /v1/voice/{guild_id}", json={"channel_id": "123456789012345678"}).json()

    assert answer["result"]["shard_ids"] == [4]
    assert [(failure["shard_id"], failure["code"]) for failure in answer["failures"]] == [
        (6, "not_ready"),
        (7, "not_ready"),
    ]
    assert (refused["shard_id"], refused["code"]) == (6, "not_ready")
    for told in (answer["failures"][0]["message"], refused["detail"]):
        assert "what is wanted is kept, and told to Discord once the shard is live" in told
    wait_until(lambda: stack.simulator.presences.get(6, {}).get("status") == "idle")
    wait_until(lambda: stack.simulator.hub.voice_channels.get(guild_id) == 123456789012345678)
    stack.ok(f"PUT /v1/voice/{guild_id}", json={})
    stack.wait_until_live()


def test_a_voice_channel_is_entered_again_in_a_new_session(stack):
    guild_id = stack.guild_of(2)
    stack.ok(f"PUT /v1/voice/{guild_id}", json={"channel_id": "123456789012345678", "self_deaf": True})
    joins = wait_until(lambda: stack.simulator.transcript.payloads(Opcode.VOICE_STATE_UPDATE, shard_id=2))

    stack.ok("POST /v1/shards/2/restart?mode=identify&wait_s=60")

    again = wait_until(lambda: stack.simulator.transcript.payloads(Opcode.VOICE_STATE_UPDATE, shard_id=2)[len(joins) :])
    assert again[0].data == {
        "guild_id": str(guild_id),
        "channel_id": "123456789012345678",
        "self_mute": False,
        "self_deaf": True,
    }
    stack.ok(f"PUT /v1/voice/{guild_id}", json={})


def test_all_chunks_of_the_members_are_gathered(stack):
    guild_id = stack.guild_of(3)

    result = stack.ok(f"POST /v1/guilds/{guild_id}/members", json={"timeout_s": 60})["result"]

    assert result["chunks"] == 3
    assert len(result["members"]) == 2501


def test_members_by_id(stack):
    members = stack.ok(f"POST /v1/guilds/{stack.guild_of(1)}/members", json={"user_ids": ["1"]})["result"]

    assert members["not_found"] == ["1"]


@ON_ANY_BROKER
@pytest.mark.parametrize("fault", [LimitRequest(retry_after_s=0.1), CutChunks(sent=0)], ids=["limited", "cut"])
def test_members_are_asked_for_again_when_they_have_to_be(stack, fault):
    asked = len(stack.simulator.transcript.payloads(Opcode.REQUEST_GUILD_MEMBERS))
    stack.simulator_thread.call(stack.simulator.arm, fault=fault, moment=Moment.REQUEST, shard_id=2)

    request = {"query": "", "limit": 3, "timeout_s": 60}
    members = stack.ok(f"POST /v1/guilds/{stack.guild_of(2)}/members", json=request)["result"]["members"]

    assert len(members) == 3
    assert len(stack.simulator.transcript.payloads(Opcode.REQUEST_GUILD_MEMBERS)) == asked + 2
    stack.wait_until_live()


def test_soundboard_sounds_and_channel_info(stack):
    guild_id = stack.guild_of(0)

    sounds = stack.ok(f"POST /v1/guilds/{guild_id}/soundboard-sounds", json={})["result"]
    info = stack.ok(f"POST /v1/guilds/{guild_id}/channel-info", json={"fields": ["status"]})["result"]

    assert (sounds["guild_id"], info["guild_id"]) == (str(guild_id), str(guild_id))
    assert "soundboard_sounds" in sounds["data"]
    assert "channels" in info["data"]


def test_a_guild_is_found(stack):
    where = stack.ok(f"GET /v1/guilds/{stack.guild_of(3)}")["result"]

    assert (where["shard_id"], where["num_shards"], where["state"]) == (3, NUM_SHARDS, "live")


def test_the_routes_in_force_are_listed_and_read_again(stack):
    for request_line in ("GET /v1/routes", "POST /v1/routes"):
        answer = stack.ok(request_line)
        assert sorted(shard_id for host in answer["result"]["hosts"] for shard_id in host["shard_ids"]) == [*range(8)]
        assert answer["failures"] == []


def test_the_ledger_has_every_shard_of_this_host(stack):
    rows = stack.ok("GET /v1/ledger")["result"]["rows"]

    assert [row["shard_id"] for row in rows][:4] == [0, 1, 2, 3]


@ON_ANY_BROKER
@pytest.mark.parametrize(
    ("request_line", "body", "status", "code"),
    [
        ("GET /v1/shards/99", None, 404, "unknown_shard"),
        ("GET /v1/shards/x", None, 422, "invalid_argument"),
        ("POST /v1/shards/1/restart?mode=sideways", None, 422, "invalid_argument"),
        ("PUT /v1/presence", {"presence": {"status": "busy"}}, 422, "invalid_argument"),
        ("PUT /v1/presence", {"presense": {}}, 422, "invalid_argument"),
        ("PUT /v1/presence", {"presence": None, "shard_ids": []}, 422, "invalid_argument"),
        ("GET /v1/nothing", None, 404, "not_found"),
        ("DELETE /v1/shards", None, 405, "not_found"),
        ("PUT /v1/presence", {"presence": {"status": "x" * 70_000}}, 413, "too_large"),
        ("PUT /v1/presence", {"presence": {"activities": [{"name": "x" * 5000}]}, "shard_ids": [0]}, 413, "too_large"),
        ("POST /v1/guilds/1/members", {"query": "x" * 101, "limit": 1}, 422, "invalid_argument"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_has_its_code(stack, request_line, body, status, code):
    response = stack.request(request_line, json=body)
    problem = response.json()

    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert problem["host"].startswith("gateway@")


@ON_ANY_BROKER
def test_a_token_is_wanted_and_its_scope_counts(stack):
    base_url = stack.clients[0].base_url
    with (
        httpx.Client(base_url=base_url) as anyone,
        httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {READ_TOKEN}"}) as reader,
    ):
        assert anyone.get("/v1/shards").json()["code"] == "unauthorized"
        assert anyone.get("/livez").status_code == 200
        assert reader.get("/v1/shards/0").status_code == 200
        refused = reader.post("/v1/shards/0/restart")

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


@ON_ANY_BROKER
def test_a_call_sent_again_with_its_key_is_carried_out_once(stack):
    before = len(stack.simulator.transcript.payloads(Opcode.RESUME))
    headers = {"Idempotency-Key": "once"}

    first = stack.ok("POST /v1/shards/3/restart?wait_s=60", headers=headers)
    second = stack.ok("POST /v1/shards/3/restart?wait_s=60", headers=headers)
    other = stack.request("POST /v1/shards/2/restart", headers=headers)

    assert first == second
    assert other.json()["code"] == "invalid_argument"
    assert len(stack.simulator.transcript.payloads(Opcode.RESUME)) == before + 1


def test_changes_are_streamed(stack):
    headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
    with httpx.stream("GET", f"{stack.clients[0].base_url}/v1/events", headers=headers, timeout=60) as response:
        lines = map(seen, response.iter_lines())
        first = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
        stack.ok("POST /v1/shards/0/restart")
        changed = next(
            shard
            for shard in (json.loads(line[6:]) for line in lines if line.startswith("data: "))
            if shard["shard_id"] == 0 and shard["since"] != first["since"]
        )

    assert first["shard_id"] == 0
    assert changed["host"] == first["host"]


def test_metrics_are_those_of_the_table_and_have_no_guild(stack):
    text = stack.request("GET /metrics").text

    assert 'gateway_dispatches_received_total{shard="0"}' in text
    assert 'gateway_confirm_latency_seconds_bucket{le="+Inf",process="0"}' in text
    assert 'gateway_commands_total{op="8",outcome="ok"}' in text
    assert not any(str(guild_id) in text for guild_id in stack.simulator.guild_ids)


def test_what_nobody_subscribed_to_is_counted_by_name(stack):
    wait_until(lambda: stack.ok("GET /v1/shards")["result"]["unrouted"].get("GUILD_CREATE", 0) >= NUM_SHARDS)

    assert 'gateway_unrouted_messages{event="GUILD_CREATE"}' in stack.request("GET /metrics").text


@ON_ANY_BROKER
def test_the_description_is_served_and_the_page_fetches_nothing_from_elsewhere(stack):
    spec = stack.ok("GET /openapi.json")
    page = stack.request("GET /docs").text

    assert spec["paths"]["/v1/shards/{shard_id}/restart"]["post"]["summary"]
    assert "http://" not in page.replace("http://${location.host}", "")
    assert "https://" not in page
