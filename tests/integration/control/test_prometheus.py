"""A real Prometheus on the running stack: dashboards and rules ask for what there is, and faults raise their alerts."""

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from gateway_service.contract import DEAD_QUEUE
from gateway_service.worker.ages import Ages
from gateway_service.worker.exposition import WorkerCollector
from gateway_service.worker.lateness import Lateness
from tests.support.connection import connection_to
from tests.support.control_stack import ON_ANY_BROKER, READ_TOKEN
from tests.support.prometheus import expressions, names_in, running_prometheus
from tests.support.waiting import wait_until


@pytest.fixture
def worker_target():
    """Where a worker's metrics are, without the worker."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(Ages(), Lateness()))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def prometheus(stack, worker_target, tmp_path):
    jobs = [
        {
            "job_name": "gateway",
            "authorization": {"credentials": READ_TOKEN},
            "static_configs": [
                {"targets": [f"127.0.0.1:{service.control_port()}" for service in stack.services]},
            ],
        },
        {"job_name": "workers", "static_configs": [{"targets": [worker_target]}]},
    ]
    with running_prometheus(tmp_path, jobs) as prometheus:
        yield prometheus


@ON_ANY_BROKER
def test_dashboards_and_rules_ask_for_what_there_is_and_faults_raise_their_alerts(prometheus, stack):
    names = prometheus.metric_names()
    asked = expressions()

    assert len(asked) > 50
    assert {name for expression in asked for name in names_in(expression)} - names == set()
    for expression in asked:
        prometheus.get("/query", query=expression)

    dead = f'gateway_standing_messages{{queue="{DEAD_QUEUE}"}}'
    wait_until(lambda: prometheus.get("/query", query=dead)["result"])
    assert not prometheus.firing() & {"GatewayGap", "GatewayDeadLetters"}

    stack.simulator_thread.call(stack.simulator.op9, shard_id=7)
    with connection_to(stack.broker_url) as connection:
        connection.Producer().publish(b"", exchange="", routing_key=DEAD_QUEUE)
        wait_until(lambda: prometheus.firing() >= {"GatewayGap", "GatewayDeadLetters"})
        connection.default_channel.queue_purge(DEAD_QUEUE)
    stack.wait_until_live()
