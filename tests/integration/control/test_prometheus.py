"""A real Prometheus on running services: dashboards and rules ask for what there is, and faults raise their alerts.

All but GatewayLedgerUnbalanced, which only a fault of our code could raise; tests/integration/monitoring has its rule.
"""

import socket
import time
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from gateway_service.contract import DEAD_QUEUE
from gateway_service.embedded import PrivateValkey, find_valkey_server
from gateway_service.simulator import SimulatorConfig
from gateway_service.worker.ages import Ages
from gateway_service.worker.exposition import WorkerCollector
from gateway_service.worker.lateness import Lateness
from tests.support.connection import connection_to
from tests.support.control_stack import ON_ANY_BROKER, READ_TOKEN, BackgroundSimulator
from tests.support.prometheus import expressions, names_in, running_prometheus
from tests.support.relay import Relay
from tests.support.service import running_service
from tests.support.waiting import wait_until


class WorkerMetrics:
    """What a worker serves, without the worker."""

    def __init__(self):
        self.ages = Ages()
        registry = CollectorRegistry()
        registry.register(WorkerCollector(self.ages, Lateness()))
        self._server, self._thread = start_http_server(0, "127.0.0.1", registry)
        self.target = f"127.0.0.1:{self._server.server_port}"

    def stop(self):
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


@pytest.fixture
def worker_metrics():
    served = WorkerMetrics()
    yield served
    served.stop()


@contextmanager
def prometheus_of(services, worker_metrics, directory, **how):
    jobs = [
        {
            "job_name": "gateway",
            "authorization": {"credentials": READ_TOKEN},
            "static_configs": [{"targets": [f"127.0.0.1:{service.control_port()}" for service in services]}],
        },
        {"job_name": "workers", "static_configs": [{"targets": [worker_metrics.target]}]},
    ]
    with running_prometheus(directory, jobs, **how) as prometheus:
        yield prometheus


@pytest.fixture
def prometheus(stack, worker_metrics, tmp_path):
    with prometheus_of(stack.services, worker_metrics, tmp_path) as prometheus:
        yield prometheus


@ON_ANY_BROKER
def test_dashboards_and_rules_ask_for_what_there_is_and_a_dead_letter_raises_its_alert(prometheus, stack):
    names = prometheus.metric_names()
    asked = expressions()

    assert len(asked) > 50
    assert {name for expression in asked for name in names_in(expression)} - names == set()
    for expression in asked:
        prometheus.get("/query", query=expression)

    dead = f'gateway_standing_messages{{queue="{DEAD_QUEUE}"}}'
    wait_until(lambda: prometheus.get("/query", query=dead)["result"])
    assert "GatewayDeadLetters" not in prometheus.firing()

    with connection_to(stack.broker_url) as connection:
        connection.Producer().publish(b"", exchange="", routing_key=DEAD_QUEUE)
        wait_until(lambda: "GatewayDeadLetters" in prometheus.firing())
        connection.default_channel.queue_purge(DEAD_QUEUE)


class Bot:
    """Four shards whose Discord, broker, state store and worker can be troubled; two more IDENTIFYs are allowed."""

    def __init__(self, running, rabbitmq, broker_url, worker_metrics, directory):
        self.thread = BackgroundSimulator(
            SimulatorConfig(
                shards=4, max_concurrency=4, identify_window_s=0.0, identify_limit=20, identify_remaining=10
            )
        )
        self.worker_metrics = worker_metrics
        self.store = running.enter_context(PrivateValkey())
        self.discord = running.enter_context(self.thread)
        self.relay = Relay(socket.create_server(("127.0.0.1", 0)), rabbitmq.port)
        self.thread.run(self.relay.__aenter__())
        running.callback(lambda: self.thread.run(self.relay.__aexit__()))
        self.service = running.enter_context(
            running_service(
                self.discord,
                broker_url.replace(f":{rabbitmq.port}/", f":{self.relay.port}/"),
                directory,
                "--processes=1",
                environment={"GATEWAY_STATE_URL": self.store.url},
            )
        )

    def lose_sessions(self):
        """Two shards get new ones; then the reserve is reached, and the third waits."""
        for shard_id in range(3):
            self.thread.call(self.discord.op9, shard_id=shard_id)

    def hold_broker(self):
        self.thread.call(self.relay.hold)
        self.thread.call(self.discord.emit, event="MESSAGE_CREATE", guild_id=self.discord.guild_ids[3])

    def delay_dispatches(self):
        self.worker_metrics.ages.observe(time.time() - 600)


@pytest.fixture
def bot(rabbitmq, rabbitmq_url, worker_metrics, tmp_path):
    if find_valkey_server() is None:
        pytest.skip("no Valkey or Redis server is installed on this machine")
    with ExitStack() as running:
        bot = Bot(running, rabbitmq, rabbitmq_url, worker_metrics, tmp_path / "service")
        yield bot
        bot.service.kill_everything()  # to drain it would wait for the broker


def test_every_other_fault_raises_its_alert(bot, worker_metrics, tmp_path):
    with prometheus_of([bot.service], worker_metrics, tmp_path, is_hasty=True) as prometheus:
        live = "sum(gateway_shard_up) == 4"
        wait_until(lambda: prometheus.get("/query", query=live)["result"] and not prometheus.firing())

        raised = set()  # the lag is over when the broker's connection is given up
        bot.lose_sessions()
        bot.hold_broker()
        bot.delay_dispatches()
        wait_until(lambda: raised.update(prometheus.firing()) or len(raised) == 7)
        assert raised == {
            "GatewayConfirmLag",
            "GatewayGap",
            "GatewayIdentifyBudgetLow",
            "GatewayQueueAge",
            "GatewayResumesFail",
            "GatewayRungAboveMemory",
            "GatewayShardNotReady",
        }

        worker_metrics.stop()
        bot.store.stop()
        wait_until(lambda: prometheus.firing() >= {"GatewayNoWorker", "GatewayStateDown"})
