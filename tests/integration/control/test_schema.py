"""schemathesis asks what no person would; nothing may answer with 5xx but what says why."""

import hypothesis
import schemathesis
from hypothesis import settings

from tests.support.control_stack import ON_ANY_BROKER

# What would end or restart the stack that the other tests use.
DESTRUCTIVE = ("/v1/drain", "/v1/rolling-restart", "/v1/shards/{shard_id}/restart-process", "/v1/events")
EXAMPLES = 8


@ON_ANY_BROKER
def test_no_request_makes_the_api_fail(stack):
    schema = schemathesis.openapi.from_dict(stack.ok("GET /openapi.json"))
    failed = []
    for path in [path for path in schema if path not in DESTRUCTIVE]:
        for method in schema[path]:
            # The same requests in every run: what a lucky guess would find must not fail a change that is innocent.
            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(case=schema[path][method].as_strategy())
            def probe(case):
                # How long to wait is the caller's wish; a guess of two minutes would be granted.
                if isinstance(case.body, dict) and case.path.startswith("/v1/guilds/"):
                    case.body["timeout_s"] = 0.1
                if isinstance(case.query, dict) and "wait_s" in case.query:
                    case.query["wait_s"] = 0
                arguments = case.as_transport_kwargs(base_url=str(stack.clients[0].base_url))
                response = stack.send(arguments)
                if response.status_code >= 500 and response.json().get("code") not in {
                    "other_host",
                    "timeout",
                    "not_ready",
                }:
                    failed.append((case.method, case.path, response.status_code, response.text))

            probe()

    assert failed == []
