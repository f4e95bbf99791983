"""A small OpenTelemetry collector: takes traces over HTTP as exporters send them, and keeps them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """What is looked at of a span."""

    service: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    started_at: float
    ended_at: float


class Collector:
    """One collector and what it was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._arrived: SimpleQueue[bytes] = SimpleQueue()
        self._spans: list[ReceivedSpan] = []

    def take(self, body: bytes) -> None:
        self._arrived.put(body)

    def spans(self, name: str) -> list[ReceivedSpan]:
        """Return the spans of a name that have come so far."""
        while not self._arrived.empty():
            self._spans += _spans_in(self._arrived.get())
        return [span for span in self._spans if span.name == name]


def _spans_in(body: bytes) -> Iterator[ReceivedSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        facts = {fact.key: fact.value.string_value for fact in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    service=facts["service.name"],
                    name=span.name,
                    trace_id=span.trace_id,
                    span_id=span.span_id,
                    parent_id=span.parent_span_id,
                    started_at=span.start_time_unix_nano / 1e9,
                    ended_at=span.end_time_unix_nano / 1e9,
                )


@contextmanager
def running_collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, name="collector")
        thread.start()
        yield collector
        server.shutdown()
        thread.join()
