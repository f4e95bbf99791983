"""Spans of handler runs, below those of the gateway that published their dispatches.

Celery's own signals begin and end them, so that every pool and both ways of a run are traced alike.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from celery import signals

from gateway_service.tracing import child_of, set_up_tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

TRACING_KEY: Final = "gateway_tracing"
"""Setting of the Celery application."""


class HandlerSpans:
    """Makes a span of each run whose message belongs to a trace; it is the current one while the handler runs."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def connect(self) -> Callable[[], None]:
        """Begin; return what ends it."""
        with ExitStack() as connected:
            for signal, receiver in (
                (signals.task_prerun, self._begin),
                (signals.task_retry, self._retried),
                (signals.task_failure, self._failed),
                (signals.task_postrun, self._end),
            ):
                signal.connect(receiver, weak=False)
                connected.callback(signal.disconnect, receiver)
            return connected.pop_all().close

    def _begin(self, task: Any, task_id: str, **_signal: Any) -> None:
        from opentelemetry import context, trace

        request = task.request
        if (traceparent := request.get("traceparent")) is None:
            return
        attributes = {
            "messaging.operation.name": "process",
            "messaging.message.id": task_id,
            "celery.task": task.name,
            "celery.retries": request.retries,
        }
        span = child_of(self._tracer, f"process {task.name}", traceparent, trace.SpanKind.CONSUMER, attributes)
        request.gateway_span = span, context.attach(trace.set_span_in_context(span))

    def _retried(self, request: Any, **_signal: Any) -> None:
        if found := request.get("gateway_span"):
            found[0].add_event("retry")

    def _failed(self, sender: Any, exception: BaseException, **_signal: Any) -> None:
        from opentelemetry.trace import StatusCode

        if found := sender.request.get("gateway_span"):
            # Its text may hold what people wrote.
            found[0].set_status(StatusCode.ERROR, type(exception).__name__)

    def _end(self, task: Any, **_signal: Any) -> None:
        from opentelemetry import context

        if found := task.request.get("gateway_span"):
            span, token = found
            context.detach(token)
            span.end()


@signals.celeryd_init.connect(weak=False)
def _trace_when_asked(conf: Any, **_signal: Any) -> None:
    if conf.get(TRACING_KEY):
        HandlerSpans(set_up_tracing()).connect()
