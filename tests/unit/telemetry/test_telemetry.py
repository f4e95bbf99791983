"""Logging: the two formats, and that no secret gets through either."""

import io
import json
import logging
import re

import pytest

from gateway_service import telemetry
from gateway_service.telemetry import LogEvent, configure_logging, log_event, redact, register_secret

SECRET = "s3cr3t/with+signs"


@pytest.fixture(autouse=True)
def _clean_logging(monkeypatch):
    """Give the root logger back as it was, and forget the secrets of a test."""
    monkeypatch.setattr(telemetry, "_secrets", set())
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(log_format, write, level="debug"):
    stream = io.StringIO()
    configure_logging(level, log_format, stream)
    write(logging.getLogger("test"))
    return stream.getvalue().splitlines()


def zombied(log):
    log_event(log, logging.WARNING, LogEvent.SHARD_ZOMBIED, shard_id=3, silent_s=41.23456, reason="no ack", code=None)


def test_a_text_line_is_time_level_name_and_fields():
    (line,) = lines("text", zombied)

    assert re.fullmatch(
        r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning shard\.zombied shard_id=3 silent_s=41\.235 reason="no ack"',
        line,
    )


def test_a_terminal_obeys_no_text_of_others():
    (line,) = lines("text", lambda log: log_event(log, logging.INFO, LogEvent.SHARD_CLOSED, reason="\x1b[2J\x9b1m"))

    assert line.endswith(r'shard.closed reason="\u001b[2J\u009b1m"')


def test_a_json_line_has_the_event_and_its_fields_as_they_are():
    line = json.loads(lines("json", zombied)[0])

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "level": "warning",
        "event": "shard.zombied",
        "logger": "test",
        "shard_id": 3,
        "silent_s": 41.23456,
        "reason": "no ack",
        "code": None,
    }


def test_a_record_of_another_library_keeps_its_message():
    (text,) = lines("text", lambda log: log.warning("hello %s", "there"))
    (line,) = lines("json", lambda log: log.warning("hello %s", "there"))

    assert text.endswith("warning test: hello there")
    assert json.loads(line)["message"] == "hello there"


def test_a_field_may_have_any_name_and_any_value():
    (line,) = lines(
        "json",
        lambda log: log_event(log, logging.INFO, LogEvent.SHARD_NOTE, level=1, name="x", ids={1}, big=2**70, at=object),
    )

    fields = json.loads(line)
    assert fields["level"] == "info"
    assert (fields["level_"], fields["name"], fields["ids"], fields["big"]) == (1, "x", [1], str(2**70))
    assert "object" in fields["at"]


def test_what_is_below_the_level_is_not_written():
    assert lines("text", lambda log: log_event(log, logging.INFO, LogEvent.SHARD_STATE), level="warning") == []


def test_the_log_of_single_frames_needs_the_debug_level():
    def frame(_log):
        logging.getLogger("websockets").info("> TEXT [27 bytes]")

    assert lines("text", frame, level="info") == []
    assert len(lines("text", frame, level="debug")) == 1


def test_configuring_again_replaces_the_handler():
    first = io.StringIO()
    configure_logging("info", "text", first)

    assert len(lines("text", zombied)) == 1
    assert first.getvalue() == ""


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "write",
    [
        lambda log: log.warning(f"token {SECRET}"),  # noqa: G004
        lambda log: log.warning("token %s", SECRET),
        lambda log: log.warning("token %r", {"token": SECRET}),
        lambda log: log_event(log, logging.INFO, LogEvent.SHARD_NOTE, note=SECRET),
        lambda log: log_event(log, logging.INFO, LogEvent.SHARD_NOTE, deep={"a": [{"b": f"x{SECRET}x"}]}),
        lambda log: log.warning("stack", stack_info=True, extra={"event_fields": {"url": "s3cr3t%2Fwith%2Bsigns"}}),
    ],
)
def test_a_registered_secret_is_in_no_line(log_format, write):
    register_secret(SECRET)

    written = "\n".join(lines(log_format, write))

    assert written
    assert "s3cr3t" not in written


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_registered_secret_is_in_no_traceback(log_format):
    register_secret(SECRET)

    def fail(log):
        try:
            int(SECRET)
        except ValueError:
            log_event(log, logging.ERROR, LogEvent.PUBLISHER_FAILED, exc_info=True)

    written = "\n".join(lines(log_format, fail))

    assert "ValueError: invalid literal" in written
    assert "Traceback" in written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://me:hidden@host:5672//", "amqp://me:***@host:5672//"),
        ("redis://:hidden@host/0 and more", "redis://:***@host/0 and more"),
        ("Bot MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", "Bot ***"),
        ("wss://gateway-us-east1-b.discord.gg/?v=10", "wss://gateway-us-east1-b.discord.gg/?v=10"),
        ("sqlite:///.gateway/state.db", "sqlite:///.gateway/state.db"),
    ],
)
def test_passwords_in_urls_and_bot_tokens_are_masked_without_being_registered(text, shown):
    assert redact(text) == shown


def test_a_word_too_short_to_be_a_secret_is_masked_in_urls_only():
    register_secret("guest")

    assert redact("guest at amqp://guest:guest@host//") == "guest at amqp://guest:***@host//"


def test_every_event_is_named_after_a_part_and_says_what_it_means():
    for event in LogEvent:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event)
        assert event.name == event.value.upper().replace(".", "_")
        assert event.meaning
