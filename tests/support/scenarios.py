"""What may happen to a message in a worker, each case with its expected end."""

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

RESULTS_FOLDER = "results"
DEAD = "dead"
PAST, FUTURE = "2001-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Scenario:
    """One message, and what becomes of it."""

    name: str
    ends: str
    """The last event of its (last) handler, or ``dead``: the message is in ``gateway.dead``."""
    event: str = "DO"
    data: Any = field(default_factory=dict)
    handler: str = "doing"
    body: bytes | None = None
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str = "application/json"
    is_inline: bool | None = True
    """Whether the fast path takes it; None when no handler runs."""
    is_revoked: bool = False
    times: int = 1
    """How often its end is seen."""

    @property
    def id(self) -> str:
        return "case-" + self.name.replace(" ", "-")

    @property
    def task_id(self) -> str:
        """The id of its handler's task."""
        if self.event == "PLAIN":
            return self.id
        return f"{self.id}.default.tests.support.differential_tasks.{self.handler}"


def _embedding(data: Any, **embed: Any) -> bytes:
    everything = {"callbacks": None, "errbacks": None, "chain": None, "chord": None, **embed}
    return json.dumps([[data], {}, everything]).encode()


def _signature(text: str) -> dict[str, Any]:
    return {
        "task": "tests.support.differential_tasks.ordinary",
        "args": ["linked", text],
        "kwargs": {},
        "options": {"queue": "celery"},
        "subtask_type": None,
        "immutable": True,
    }


def _do(do: str, **more: Any) -> dict[str, Any]:
    return {"do": do, **more}


OK, FAILED, RETRIED, REJECTED = "task-succeeded", "task-failed", "task-retried", "task-rejected"
STARTED, REVOKED = "task-started", "task-revoked"

SCENARIOS = (
    Scenario("success", OK),
    Scenario("a value", OK, data=_do("return", value={"a": [1, "żółw"]})),
    Scenario("a long value", OK, data=_do("return", value="x" * 5000)),
    Scenario("a null payload", OK, body=b'[[null],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'),
    Scenario("a list payload", OK, data=[1, 2, {"__type__": "datetime", "__value__": "x"}]),
    Scenario("big integers", OK, data={"n": 2**70}),
    Scenario("deep nesting", OK, body=b"[[" + b'{"d":' * 300 + b"null" + b"}" * 300 + b"],{},{}]"),
    Scenario("lone surrogate", OK, body=rb'[[{"s":"\ud83d"}],{},{}]'),
    Scenario("a large body", OK, data={"x": "y" * 300_000}),
    Scenario("an unserializable value", FAILED, data=_do("return an object")),
    Scenario("failure", FAILED, data=_do("fail")),
    Scenario("failure with a cause", FAILED, data=_do("fail with a cause")),
    Scenario("unpicklable failure", FAILED, data=_do("fail unpicklably")),
    Scenario("expected failure", FAILED, data=_do("fail as expected")),
    Scenario("soft time limit error", FAILED, data=_do("soft time limit")),
    Scenario("ignore", STARTED, data=_do("ignore")),
    Scenario("reject", DEAD, data=_do("reject")),
    Scenario("requeue", OK, data=_do("requeue once")),
    Scenario("retry", FAILED, data=_do("retry")),
    Scenario("retry with countdown", FAILED, data=_do("retry", countdown=1)),
    Scenario("no retry left", FAILED, data=_do("retry", max_retries=0)),
    Scenario("retry over an error", FAILED, data=_do("retry over an error")),
    Scenario("retry without raising", OK, data=_do("retry without raising"), times=2),
    Scenario("calling a task", OK, data=_do("call")),
    Scenario("a chain", OK, data=_do("chain")),
    Scenario("a custom state", OK, data=_do("update state")),
    Scenario("an eta in the past", OK, headers={"eta": PAST}, is_inline=False),
    Scenario("a wrong eta", DEAD, headers={"eta": "soon"}, is_inline=None),
    Scenario("expired", REVOKED, headers={"expires": PAST}, is_inline=None),
    Scenario("not yet expired", OK, headers={"expires": FUTURE}, is_inline=False),
    Scenario("a wrong expiry", DEAD, headers={"expires": "never"}, is_inline=None),
    Scenario("revoked", REVOKED, is_revoked=True, is_inline=None),
    Scenario("a shadow name", OK, headers={"shadow": "another.name"}, is_inline=False),
    Scenario("stamped", OK, headers={"stamped_headers": ["a"], "stamps": {"a": "b"}}, is_inline=False),
    Scenario("a time limit header", OK, headers={"timelimit": [10, 5]}),
    Scenario("result ignored by header", OK, headers={"ignore_result": True}, data=_do("return", value=1)),
    Scenario("a later try", OK, headers={"retries": 1}),
    Scenario("parents", OK, headers={"root_id": "root", "parent_id": "parent", "group": "group", "group_index": 3}),
    Scenario("hidden arguments missing", OK, headers={"argsrepr": None, "kwargsrepr": None}),
    Scenario("other headers", OK, headers={"x": {"y": [1, True, None, 1.5]}, "origin": None, "lang": None}),
    Scenario("a link", OK, body=_embedding({}, callbacks=[_signature("callback")])),
    Scenario("an error link", FAILED, body=_embedding(_do("fail"), errbacks=[_signature("errback")])),
    Scenario("an embedded chain", OK, body=_embedding({}, chain=[_signature("last"), _signature("next")])),
    Scenario("no embed", OK, body=b"[[{}],{},null]"),
    Scenario("compressed", OK, body=zlib.compress(_embedding({})), headers={"compression": "application/x-gzip"}),
    Scenario("not JSON", DEAD, body=b"[[{", is_inline=None),
    Scenario("not UTF-8", DEAD, body=b'[["\xff"],{},{}]', is_inline=None),
    Scenario("not a task body", DEAD, body=b'{"args":[]}', is_inline=None),
    Scenario("two payloads", DEAD, body=b"[[1,2],{},{}]", is_inline=None),
    Scenario("keyword arguments", DEAD, body=b'[[1],{"a":1},{}]', is_inline=None),
    Scenario("another content type", DEAD, content_type="application/x-yaml", is_inline=None),
    Scenario("no shard", DEAD, headers={"shard": None}, is_inline=None),
    Scenario("no task", DEAD, headers={"task": "gateway.NOBODY"}, is_inline=None),
    Scenario("early ack", OK, event="EARLY", handler="early"),
    Scenario("early ack and failure", FAILED, event="EARLY", handler="early", data=_do("fail")),
    Scenario("early ack and reject", FAILED, event="EARLY", handler="early", data=_do("reject")),
    Scenario("early ack and retry", FAILED, event="EARLY", handler="early", data=_do("retry")),
    Scenario("without events", "", event="QUIET", handler="quiet"),
    Scenario("failure without events", "", event="QUIET", handler="quiet", data=_do("fail")),
    Scenario("tracked", OK, event="TRACKED", handler="tracked"),
    Scenario("without result", OK, event="IGNORED", handler="without_result", data=_do("return", value=1)),
    Scenario("failure without result", FAILED, event="IGNORED", handler="without_result", data=_do("fail")),
    Scenario("rate limited", OK, event="RATED", handler="rated", is_inline=False),
    Scenario("beyond its time limit", OK, event="LIMITED", handler="limited", data=_do("sleep", seconds=0.1)),
    Scenario("dead on failure", DEAD, event="UNACKED", handler="unacked", data=_do("fail")),
    Scenario("automatic retry", OK, event="AUTO", handler="auto", data=_do("fail")),  # which fails only once
    Scenario("several handlers", OK, event="SEVERAL", handler="several_2"),
    Scenario("several that fail", FAILED, event="SEVERAL", handler="several_2", data=_do("fail")),
    Scenario("several that reject", DEAD, event="SEVERAL", handler="several_2", data=_do("reject")),
    Scenario("several that requeue", OK, event="SEVERAL", handler="several_2", data=_do("requeue once")),
    Scenario("several in two ways", OK, event="MIXED", handler="mixed_rated", is_inline=False),
    Scenario("one of two rejects", DEAD, event="ONE_FAILS", handler="rejecting"),
    Scenario("plain", OK, event="PLAIN", handler="gateway.PLAIN"),
    Scenario("plain value", OK, event="PLAIN", handler="gateway.PLAIN", data=_do("return", value=1)),
    Scenario("plain failure", FAILED, event="PLAIN", handler="gateway.PLAIN", data=_do("fail")),
    Scenario("plain ignore", STARTED, event="PLAIN", handler="gateway.PLAIN", data=_do("ignore")),
    Scenario("plain reject", DEAD, event="PLAIN", handler="gateway.PLAIN", data=_do("reject")),
    Scenario("plain retry", FAILED, event="PLAIN", handler="gateway.PLAIN", data=_do("retry")),
    Scenario(
        "plain keyword arguments",
        FAILED,
        event="PLAIN",
        handler="gateway.PLAIN",
        body=b'[[1],{"a":1},{}]',
        is_inline=None,
    ),
    Scenario("plain not JSON", DEAD, event="PLAIN", handler="gateway.PLAIN", body=b"[[{", is_inline=None),
)
ORDINARY_RUNS = 6
"""How often the ordinary task is started by all of them together: by calls, chains and links."""
assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
