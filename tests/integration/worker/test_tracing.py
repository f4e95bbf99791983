"""One trace of a dispatch: read off the socket, confirmed by the broker, handled on both ways of a worker."""

import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway_service.publisher import Outbox, PublisherThread
from gateway_service.publisher.links import make_link
from gateway_service.publisher.spans import PublisherSpans
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.otlp import running_collector
from tests.support.publishing import ORIGIN, make_envelope
from tests.support.service import running_service
from tests.support.waiting import TIMEOUT_S, until, wait_until
from tests.support.worker import running_worker

CONTENT = "what-somebody-wrote"
PROCESSED = "process tests.support.worker_tasks.changing"


@pytest.fixture
def traced():
    """The spans of the gateway's side that have ended, and what makes them."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter, provider.get_tracer("test")
    provider.shutdown()


@pytest.mark.rabbitmq
def test_one_trace_spans_socket_broker_and_handler(rabbitmq_url, traced, tmp_path):
    exporter, tracer = traced
    options = ("--pool", "solo")
    with running_worker(
        rabbitmq_url, tmp_path, "tests.support.traced_tasks", *options, GATEWAY_TRACING="yes"
    ) as worker:
        outbox = Outbox()
        publisher = PublisherThread(lambda: make_link(rabbitmq_url, ORIGIN), outbox, PublisherSpans(tracer))
        publisher.start()
        outbox.put(make_envelope(1, raw=b'{"content":"%b"}' % CONTENT.encode()))
        assert publisher.stop(30.0)
        wait_until(lambda: sum(line.get("span") == "process twice" for line in worker.records()) == 2)

    [published] = exporter.get_finished_spans()
    assert (published.name, published.kind.name, published.start_time) == (
        "publish MESSAGE_CREATE",
        "PRODUCER",
        1_700_000_000_125_000_000,
    )
    runs = [line for line in worker.records() if line["span"] == "process twice"]
    inside = [line for line in worker.records() if line["span"] == "inside"]
    assert {line["trace_id"] for line in [*runs, *inside]} == {published.context.trace_id}
    assert [line["parent_id"] for line in runs] == [published.context.span_id] * 2
    assert [line["parent_id"] for line in inside] == [line["span_id"] for line in runs]
    assert [line["attributes"]["celery.retries"] for line in runs] == [0, 1]
    assert [line["events"] for line in runs] == [["retry"], []]
    assert runs[1]["status"] == ["ERROR", "LookupError"]
    assert CONTENT not in str([*worker.records(), published.to_json()])


def handled(collector):
    """Return the spans of the dispatch that have come, each with one of its run."""
    return [
        (published, processed)
        for published in collector.spans("publish MESSAGE_CREATE")
        for processed in collector.spans(PROCESSED)
        if published.trace_id == processed.trace_id
    ]


async def test_a_collector_gets_the_whole_trace_from_a_shard_process_and_a_pool(valkey_url, tmp_path):
    """From the frame on the socket: the simulator sends, exporters of two programs report, and the ids fit."""
    with running_collector() as collector:
        variables = {
            "GATEWAY_TRACING": "yes",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        async with Simulator(SimulatorConfig(shards=1, guilds=1, identify_window_s=0)) as sim:
            prefork = running_worker(
                valkey_url,
                tmp_path,
                "tests.support.worker_tasks",
                "--concurrency=1",
                OTEL_SERVICE_NAME="bot-worker",
                **variables,
            )
            flags = ("--shard-count=1", "--processes=1")
            with prefork, running_service(sim, valkey_url, tmp_path / "gateway", *flags, environment=variables):
                await sim.wait_for_shards([0], timeout_s=TIMEOUT_S)
                sent_at = time.time()
                sim.emit("MESSAGE_CREATE", {"id": "1", "content": CONTENT})
                [(published, processed)] = await until(lambda: handled(collector))

    assert (published.service, processed.service) == ("gateway-service", "bot-worker")
    assert processed.parent_id == published.span_id
    assert sent_at < published.started_at < published.ended_at
    assert published.started_at < processed.started_at < processed.ended_at
