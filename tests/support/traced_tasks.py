"""Handlers of a worker that has set up OpenTelemetry itself, and what becomes of their spans: lines of the record."""

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from gateway_service import Dispatch, on
from tests.support.recording import record_line


class RecordingExporter(SpanExporter):
    """Writes one line for each span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            assert span.context is not None
            record_line(
                {
                    "span": span.name,
                    "trace_id": span.context.trace_id,
                    "span_id": span.context.span_id,
                    "parent_id": span.parent.span_id if span.parent else None,
                    "attributes": dict(span.attributes or {}),
                    "status": [span.status.status_code.name, span.status.description],
                    "events": [event.name for event in span.events],
                }
            )
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(RecordingExporter()))
trace.set_tracer_provider(provider)


@on("MESSAGE_CREATE", bind=True, max_retries=1, name="twice")
def twice(self: Any, message: dict[str, Any], dispatch: Dispatch) -> None:
    """Run at once, then again when Celery's own way of a message with a countdown allows it."""
    with provider.get_tracer("user").start_as_current_span("inside"):
        pass
    if self.request.retries == 0:
        raise self.retry(countdown=0.05)
    raise LookupError(message["content"], dispatch.id)
