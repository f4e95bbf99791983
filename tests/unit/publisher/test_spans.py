"""Which dispatches are traced, and for how long."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from gateway_service.publisher.envelope import headers_of
from gateway_service.publisher.spans import PublisherSpans, make_spans
from tests.support.publishing import ORIGIN, make_envelope


def spans(sampler=ALWAYS_ON):
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, PublisherSpans(provider.get_tracer("test"))


def test_nothing_is_made_where_tracing_is_off():
    assert make_spans(tracing=False) is None
    assert "traceparent" not in headers_of(make_envelope(), ORIGIN)


def test_a_message_names_the_span_that_ends_with_its_confirm():
    exporter, subject = spans()
    envelope = make_envelope()

    subject.begin([envelope])
    assert exporter.get_finished_spans() == ()
    subject.confirmed([envelope])

    [span] = exporter.get_finished_spans()
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
    assert headers_of(envelope, ORIGIN)["traceparent"] == expected


@pytest.mark.parametrize("is_other_object", [False, True], ids=["from memory", "from disk"])
def test_what_is_sent_again_keeps_its_span(is_other_object):
    exporter, subject = spans()
    first = make_envelope(7)
    subject.begin([first])
    again = make_envelope(7) if is_other_object else first

    subject.begin([again])
    subject.confirmed([again])

    assert again.traceparent == first.traceparent
    assert len(exporter.get_finished_spans()) == 1


def test_what_is_not_sampled_says_nothing():
    exporter, subject = spans(ALWAYS_OFF)
    envelope = make_envelope()

    subject.begin([envelope])
    subject.confirmed([envelope])

    assert envelope.traceparent is None
    assert exporter.get_finished_spans() == ()


def test_what_the_broker_never_takes_ends_as_an_error():
    exporter, subject = spans()
    envelope = make_envelope()
    subject.begin([envelope])

    subject.given_up(envelope, "larger than the broker takes")

    [span] = exporter.get_finished_spans()
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "larger than the broker takes")
