"""OpenTelemetry, where it is asked for: one trace of a dispatch from the socket over the broker to its handlers.

Only with the setting ``tracing`` is the library imported. It is set up as its own variables say (``OTEL_SERVICE_NAME``,
``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_ENDPOINT``), unless the program has set it up already.
See OpenTelemetry: Environment Variable Specification; W3C: Trace Context.
"""

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from gateway_service.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind, Tracer

EXPORTER_ENV: Final = "OTEL_TRACES_EXPORTER"
_EXPORTERS: Final = "opentelemetry_traces_exporter"
_OTLP: Final = "otlp_proto_http"


def check_tracing() -> None:
    """Find out whether spans could be made and sent.

    Raises:
        ConfigurationError: A package is missing.
    """
    try:
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "tracing: is on, but OpenTelemetry is not installed: pip install 'gateway-service[otel]' (GATEWAY_TRACING)"
        ) from None
    _exporter()


def set_up_tracing() -> "Tracer":
    """Return what makes our spans; call it once in each process.

    Raises:
        ConfigurationError: As of :func:`check_tracing`.
    """
    check_tracing()
    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # nobody has set one
        name = os.environ.get("OTEL_SERVICE_NAME", "gateway-service")
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        if (exporter := _exporter()) is not None:
            provider.add_span_processor(BatchSpanProcessor(exporter()))
        trace.set_tracer_provider(provider)
    return trace.get_tracer("gateway_service")


def traceparent_of(span: "Span") -> str:
    """Return what a message says of the span that it belongs to."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def child_of(tracer: "Tracer", name: str, traceparent: str, kind: "SpanKind", attributes: dict[str, Any]) -> "Span":
    """Begin a span below the one that a message named; a wrong name begins a trace of its own."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    return tracer.start_span(name, context=parent, kind=kind, attributes=attributes)


def _exporter() -> Any:
    """Return the class that sends spans away; None when they shall not be sent."""
    name = os.environ.get(EXPORTER_ENV) or "otlp"
    if name == "none":
        return None
    found = [*entry_points(group=_EXPORTERS, name=_OTLP if name == "otlp" else name)]
    if not found:
        raise ConfigurationError(
            f"{EXPORTER_ENV}: no exporter {name!r} is installed; the default, 'otlp', comes with "
            "pip install 'gateway-service[otel]'"
        )
    return found[0].load()
