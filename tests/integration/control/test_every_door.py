"""Each condition that an operation is refused for, through every door: one code, and a sentence that says it."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from gateway_service.control.operations import OPERATIONS
from gateway_service.errors import EX_OK, EX_REFUSED
from gateway_service.protocol.constants import Opcode
from gateway_service.refusals import ControlError
from gateway_service.simulator import LimitRequest, Moment, SayNothing
from tests.support.connection import application_on
from tests.support.control_stack import NUM_SHARDS, ON_ANY_BROKER
from tests.support.flower import CREDENTIALS, OUR_ACTION
from tests.support.secrecy import seen
from tests.support.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.slow  # it needs a Flower

DOORS = 5
SHARD = 6
"""Of the second supervisor: all doors but Celery's ask the first."""


@contextmanager
def as_it_is(_stack):
    yield


@contextmanager
def limited(stack):
    """Discord wants every request of the shard later than anybody waits."""
    fault = LimitRequest(retry_after_s=60.0)
    stack.simulator_thread.call(stack.simulator.arm, fault=fault, moment=Moment.REQUEST, shard_id=SHARD, times=DOORS)
    yield
    stack.simulator_thread.call(stack.simulator.disarm)


@contextmanager
def without_session(stack):
    """The shard reconnects, and Discord does not answer its RESUME."""
    resumes = len(stack.simulator.transcript.payloads(Opcode.RESUME))
    stack.simulator_thread.call(
        stack.simulator.arm, fault=SayNothing(), moment=Moment.RESUME, shard_id=SHARD, times=DOORS
    )
    stack.ok(f"POST /v1/shards/{SHARD}/restart")
    wait_until(lambda: len(stack.simulator.transcript.payloads(Opcode.RESUME)) > resumes)
    yield
    stack.simulator_thread.call(stack.simulator.disarm)
    stack.ok(f"POST /v1/shards/{SHARD}/restart")
    stack.wait_until_live()


@contextmanager
def silent_owner(stack):
    """The supervisor that runs the shard does not answer."""
    os.kill(stack.services[1].process.pid, signal.SIGSTOP)
    yield
    os.kill(stack.services[1].process.pid, signal.SIGCONT)
    stack.wait_until_live()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is asked, when, and what is answered."""

    code: str
    sentence: str
    """A part of it."""
    operation: str
    arguments: dict = field(default_factory=dict)
    """Beside the guild of the shard."""
    provoked: object = as_it_is


LARGE = {"activities": [{"name": "x" * 5000, "type": 0}]}
A_MEMBER = {"timeout_s": 1.0, "query": "a", "limit": 1}
CONDITIONS = (
    Condition(
        code="unknown_shard",
        sentence="there is no shard 99: the bot has 8, ids go from 0 to 7",
        operation="update_presence",
        arguments={"presence": {"status": "dnd"}, "shard_ids": [99]},
    ),
    Condition(
        code="too_large",
        sentence="4096",
        operation="update_presence",
        arguments={"presence": LARGE, "shard_ids": [SHARD]},
    ),
    Condition(
        code="invalid_argument",
        sentence="timeout_s: Input should be less than or equal to 120",
        operation="request_guild_members",
        arguments=A_MEMBER | {"timeout_s": 121.0},
    ),
    Condition(
        code="rate_limited",
        sentence="shard 6: Discord limits this request and wants it later than it was waited for",
        operation="request_guild_members",
        arguments=A_MEMBER,
        provoked=limited,
    ),
    Condition(
        code="not_ready",
        sentence="shard 6: the shard had no live session in time",
        operation="request_guild_members",
        arguments=A_MEMBER,
        provoked=without_session,
    ),
    Condition(code="other_host", sentence="", operation="where_is", provoked=silent_owner),
)


@pytest.fixture
def doors(stack, cli, calls, flowers):
    """Return a function for each door that asks and returns the code and the sentence of the refusal."""
    flower = flowers(stack.broker_url)

    def http(operation, arguments):
        described = OPERATIONS[operation]
        path = described.path.format(**arguments)
        rest = {name: value for name, value in arguments.items() if f"{{{name}}}" not in described.path}
        problem = stack.request(f"{described.method} {path}", json=rest).json()
        return problem["code"], problem["detail"]

    def celery(operation, arguments):
        # Who is asked by name and does not run the shard says so; of all that are asked, only its owner answers.
        first = stack.ok("GET /v1/identify-budget")["host"]
        whom = {"destination": [first]} if operation == "where_is" else {}
        with application_on(stack.broker_url) as app:
            answers = app.control.broadcast(operation, arguments, reply=True, timeout=TIMEOUT_S, limit=1, **whom)
        seen(str(answers))
        [reply] = answers[0].values()
        code, _, sentence = reply["error"].partition(": ")
        return code, sentence

    def task(operation, arguments):
        others = ({"timeout_s": 1.0} if operation == "where_is" else {}) | arguments
        with pytest.raises(ControlError) as refusal:
            getattr(calls, operation)(others.pop("guild_id", None) or others.pop("presence"), **others)
        return refusal.value.code, seen(str(refusal.value))

    def command_line(operation, arguments):
        words = {
            "update_presence": ("presence", "set", "{presence}", "--shards", "{shard_ids[0]}"),
            "request_guild_members": ("members", "{guild_id}", *["--query", "{query}", "--limit", "{limit}"]),
            "where_is": ("where", "{guild_id}"),
        }[operation]
        if "timeout_s" in arguments:
            words += ("--timeout", "{timeout_s}")
        texts = arguments | {"presence": json.dumps(arguments.get("presence"))}
        code, out, _ = cli(*(word.format(**texts) for word in words), "--json")
        assert code != EX_OK
        [failure] = json.loads(out)["failures"]
        return failure["code"], failure["message"]

    def shards_page(operation, arguments):
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in arguments.items()}
        body = {"operation": operation, "host": "", "arguments": texts}
        failure = flower.request("POST", "/shards/operation", json=body, **OUR_ACTION).json()["failures"][0]
        return failure["code"], failure["message"]

    return http, celery, task, command_line, shards_page


@ON_ANY_BROKER
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.code)
def test_a_condition_has_the_same_code_on_every_door(stack, doors, condition):
    arguments = condition.arguments
    if condition.operation != "update_presence":
        arguments = {"guild_id": stack.guild_of(SHARD), **arguments}

    with condition.provoked(stack), ThreadPoolExecutor(DOORS) as threads:
        asked = {door.__name__: threads.submit(door, condition.operation, arguments) for door in doors}
        answers = {name: answer.result() for name, answer in asked.items()}

    assert {name: code for name, (code, _) in answers.items()} == dict.fromkeys(answers, condition.code)
    assert [sentence for _, sentence in answers.values() if condition.sentence not in sentence] == []


COMMANDS = {
    "shards": "shards",
    "shard": "shards 5",
    "processes": "processes",
    "where_is": "where {guild}",
    "ledger": "ledger",
    "identify_budget": "budget",
    "routes": "routes show",
    "rolling_restart_status": "rolling-restart --status",
    "restart_shard": "restart 5",
    "restart_process": "restart 5 --process",
    "reload_routes": "routes reload",
    "rolling_restart": "rolling-restart",
    "drain": "drain",
    "update_presence": "presence clear",
    "update_voice_state": "voice leave {guild}",
    "request_guild_members": "members {guild} --query a --limit 1 --presences",
    "request_soundboard_sounds": "soundboard-sounds {guild}",
    "request_channel_info": "channel-info {guild}",
}
TESTED_ELSEWHERE = {"rolling_restart", "drain"}
OF_THE_STATE_STORE = {"ledger"}
"""Works without a service, so it knows nothing of operations."""


def test_every_operation_has_a_command():
    assert COMMANDS.keys() == OPERATIONS.keys()


@ON_ANY_BROKER
@pytest.mark.parametrize("operation", sorted(COMMANDS.keys() - TESTED_ELSEWHERE - OF_THE_STATE_STORE))
def test_a_command_performs_its_operation(stack, cli, operation):
    words = COMMANDS[operation].format(guild=stack.guild_of(SHARD)).split()

    assert cli(*words)[0] == EX_OK
    code, out, _ = cli(*words, "--json")
    assert (code, json.loads(out)["operation"], json.loads(out)["failures"]) == (EX_OK, operation, [])


@ON_ANY_BROKER
def test_what_a_silent_host_did_not_do_is_told_shard_by_shard(stack, cli, flowers):
    page = flowers(stack.broker_url)
    wait_until(lambda: len(page.request("GET", "/shards/news", auth=CREDENTIALS).json()["shard_ids"]) == NUM_SHARDS)
    presence = {"status": "idle"}

    with silent_owner(stack):
        over_http = stack.ok("PUT /v1/presence", json={"presence": presence})["failures"]
        code, out, _ = cli("presence", "set", json.dumps(presence), "--json")
        on_the_page = page.request("POST", "/shards/presence", json={"presence": presence}, **OUR_ACTION).json()

    assert code == EX_REFUSED
    for failures in (over_http, json.loads(out)["failures"], on_the_page["failures"]):
        assert [(each["code"], each["shard_id"]) for each in failures] == [("other_host", id_) for id_ in (4, 5, 6, 7)]
        assert failures[0]["message"] == "no supervisor that runs shard 4 answered"
