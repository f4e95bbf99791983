"""What every link publishes, read back as a consumer reads it."""

import json
from contextlib import closing

import pytest

from gateway_service.contract import UNROUTED_QUEUE, Dispatch, event_token, task_name
from gateway_service.publisher import Envelope, Outbox
from gateway_service.publisher.envelope import headers_of
from tests.support.publishing import (
    ORIGIN,
    SESSION,
    Received,
    Subject,
    argument_of,
    make_envelope,
    publishing,
)
from tests.support.waiting import wait_until

QUEUE = "default.events"


def declare(subject: Subject) -> None:
    """Make what bindings refer to, as the first publisher of a broker does."""
    with closing(subject.make_link()) as link:
        link.connect()


def publish(subject: Subject, *envelopes: Envelope) -> None:
    outbox = Outbox()
    with publishing(subject.make_link, outbox) as thread:
        for envelope in envelopes:
            outbox.put(envelope)
        wait_until(lambda: outbox.is_empty)
    assert thread.last_error is None


def published(subject: Subject, *envelopes: Envelope) -> list[Received]:
    declare(subject)
    subject.bind(QUEUE, "#")
    publish(subject, *envelopes)
    return subject.read(QUEUE, len(envelopes))


def test_every_header_of_the_contract_arrives(subject: Subject) -> None:
    envelope = make_envelope(77, event="GUILD_CREATE", kind="startup")

    (received,) = published(subject, envelope)

    assert {name: received.headers.get(name) for name in headers_of(envelope, ORIGIN)} == headers_of(envelope, ORIGIN)
    assert received.headers["task"] == "gateway.GUILD_CREATE"
    assert received.headers["id"] == f"{SESSION}-77"


def test_a_message_of_a_trace_says_so(subject: Subject) -> None:
    traced, other = make_envelope(79), make_envelope(80)
    traced.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    received = published(subject, traced, other)

    assert {message.headers["id"]: message.headers.get("traceparent") for message in received} == {
        traced.task_id: traced.traceparent,
        other.task_id: None,
    }


def test_a_worker_gets_the_dispatch_back_from_the_headers(subject: Subject) -> None:
    envelope = make_envelope(78, guild_id=None)

    (received,) = published(subject, envelope)

    assert Dispatch.from_headers(received.headers) == Dispatch(
        bot_id=ORIGIN.bot_id,
        event="MESSAGE_CREATE",
        shard=(3, 16),
        seq=78,
        session=SESSION,
        guild_id=None,
        received_at=1_700_000_000.125,
        kind=None,
    )


def test_the_properties_are_those_of_a_durable_celery_message(subject: Subject) -> None:
    (received,) = published(subject, make_envelope(5))

    assert received.content_type == "application/json"
    assert received.content_encoding == "utf-8"
    assert received.properties["correlation_id"] == f"{SESSION}-5"
    assert received.properties["delivery_mode"] == 2


def test_no_content_is_shown_in_what_flower_displays(subject: Subject) -> None:
    (received,) = published(subject, make_envelope(raw=b'{"content":"private words"}'))

    assert "private" not in str(received.headers)


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"0",
        b'{"id":123456789012345678901234567890,"f":1.0000000000000001}',
        '{"content":"ünï 🎉 \\ud83c \\u0000"}'.encode(),
        b'{"content":"%s %d %%"}',
    ],
)
def test_the_body_is_the_payload_byte_for_byte(subject: Subject, raw: bytes) -> None:
    (received,) = published(subject, make_envelope(raw=raw))

    assert received.body.startswith(b"[[" + raw + b"],{},{")
    assert argument_of(received) == json.loads(raw)


def test_a_body_larger_than_a_frame_arrives_whole(subject: Subject) -> None:
    raw = json.dumps({"members": ["x" * 100] * 4000}).encode()

    first, second = published(subject, make_envelope(1, raw=raw), make_envelope(2))

    assert argument_of(first) == json.loads(raw)
    assert argument_of(second) == {"content": "hello"}


@pytest.mark.parametrize(
    "event",
    [
        "MESSAGE_CREATE",
        "a.b.c",
        "*",
        "#",
        "",
        "x" * 300,
        "nachricht_ü",
        "名前",
        "with space",
        "%s",
        '"quoted"',
        "\ud800",
    ],
)
def test_any_event_name_is_routed_and_kept(subject: Subject, event: str) -> None:
    (received,) = published(subject, make_envelope(event=event))

    assert received.headers["event"] == event
    assert received.headers["task"] == task_name(event)


@pytest.mark.parametrize("guild_id", [None, 0, 1, 2**31 - 1, 2**31, 2**63 - 1])
def test_any_guild_id_arrives(subject: Subject, guild_id: int | None) -> None:
    (received,) = published(subject, make_envelope(guild_id=guild_id))

    assert Dispatch.from_headers(received.headers).guild_id == guild_id


def test_a_number_that_is_no_snowflake_arrives_too(subject: Subject) -> None:
    (received,) = published(subject, make_envelope(guild_id=2**70))

    assert Dispatch.from_headers(received.headers).guild_id == 2**70


def test_order_is_kept(subject: Subject) -> None:
    received = published(subject, *(make_envelope(seq) for seq in range(1, 1001)))

    assert [each.headers["seq"] for each in received] == list(range(1, 1001))


def test_every_group_gets_its_copy_and_only_what_it_wants(subject: Subject) -> None:
    declare(subject)
    subject.bind("a.MESSAGE_CREATE", "MESSAGE_CREATE.*")
    subject.bind("b.everything", "#")

    publish(subject, make_envelope(1), make_envelope(2, event="TYPING_START"), make_envelope(3))

    assert [each.headers["seq"] for each in subject.read("a.MESSAGE_CREATE", 2)] == [1, 3]
    assert [each.headers["seq"] for each in subject.read("b.everything", 3)] == [1, 2, 3]


def test_what_nobody_wants_is_visible_in_the_unrouted_queue(subject: Subject) -> None:
    declare(subject)
    subject.bind("a.MESSAGE_CREATE", "MESSAGE_CREATE.*")

    publish(subject, make_envelope(1, event="TYPING_START"), make_envelope(2), make_envelope(3, event="a.b"))

    assert [each.headers["event"] for each in subject.read(UNROUTED_QUEUE, 2)] == ["TYPING_START", "a.b"]
    assert event_token("a.b") != "a.b"
