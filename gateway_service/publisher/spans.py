"""Spans of dispatches on their way out, for those that shall be traced. Used by the publisher thread alone."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway_service.contract import EVENTS_EXCHANGE
from gateway_service.publisher.envelope import Envelope
from gateway_service.tracing import set_up_tracing, traceparent_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


def make_spans(*, tracing: bool) -> "PublisherSpans | None":
    """Return what traces the dispatches of this process, where that is asked for.

    Raises:
        ConfigurationError: A package is missing.
    """
    return PublisherSpans(set_up_tracing()) if tracing else None


class PublisherSpans:
    """One span for each dispatch: from reading it off the socket to the broker's confirm, however often it is sent."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer
        self._open: dict[tuple[str, int], Span] = {}

    def begin(self, batch: Iterable[Envelope]) -> None:
        """Give envelopes that are about to be sent the trace they belong to; what is not sampled gets none."""
        from opentelemetry.trace import SpanKind

        for envelope in batch:
            if envelope.traceparent is not None:
                continue
            # What was on disk in the meantime comes back as another object.
            key = envelope.session, envelope.seq
            span = self._open.get(key)
            if span is None:
                span = self._tracer.start_span(
                    f"publish {envelope.event}",
                    kind=SpanKind.PRODUCER,
                    start_time=int(envelope.received_at * 1e6) * 1000,  # nanoseconds; a float has microseconds
                    attributes=_attributes(envelope),
                )
                if not span.is_recording():
                    continue
                self._open[key] = span
            envelope.traceparent = traceparent_of(span)

    def confirmed(self, envelopes: Iterable[Envelope]) -> None:
        """End the spans of what the broker has."""
        for envelope in envelopes:
            if envelope.traceparent is not None and (span := self._open.pop((envelope.session, envelope.seq), None)):
                span.end()

    def given_up(self, envelope: Envelope, reason: str) -> None:
        """End the span of what the broker never takes."""
        from opentelemetry.trace import StatusCode

        if span := self._open.pop((envelope.session, envelope.seq), None):
            span.set_status(StatusCode.ERROR, reason)
            span.end()


def _attributes(envelope: Envelope) -> dict[str, str | int]:
    """Return what a span says. See OpenTelemetry: Semantic conventions for messaging spans."""
    attributes: dict[str, str | int] = {
        "messaging.operation.name": "publish",
        "messaging.destination.name": EVENTS_EXCHANGE,
        "messaging.message.id": envelope.task_id,
        "messaging.message.body.size": envelope.body_bytes,
        "discord.event": envelope.event,
        "discord.shard_id": envelope.shard_id,
    }
    return attributes if envelope.guild_id is None else {**attributes, "discord.guild_id": str(envelope.guild_id)}
