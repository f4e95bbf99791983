"""Logging: every event name, listed once, and the one way a line is formatted and cleared of secrets.

A log line of ours is a constant name plus fields. debug = one payload, info = a state changed, warning = we
recovered, error = a person must act. The list is also docs/log-events.md.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal, Self, TextIO
from urllib.parse import quote, unquote

import orjson

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

MASK: Final = "***"


class LogEvent(StrEnum):
    """The stable name of a log line, with its meaning."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member

    API_FAILED = "api.failed", "Discord's REST API gave no usable answer; we ask again after wait_s"
    API_RATE_LIMITED = "api.rate_limited", "Discord's REST API answered 429; we wait as it says"
    BROKER_BLOCKED = "broker.blocked", "the broker takes no messages for now (memory or disk alarm); dispatches wait"
    BROKER_CONNECTED = "broker.connected", "the publisher is connected to the broker"
    BROKER_DISCONNECTED = "broker.disconnected", "the connection to the broker was lost; unconfirmed messages go again"
    BROKER_TOPOLOGY = "broker.topology", "an exchange or queue of ours exists with other arguments; it is used as it is"
    BROKER_UNBLOCKED = "broker.unblocked", "the broker takes messages again"
    CONTROL_CALLED = (
        "control.called",
        "an operation was asked for; caller: by whom, by which door; outcome: ok, partial, repeated or an error's code",
    )
    CONTROL_EXPIRED = (
        "control.expired",
        "an operation came by remote control late_s after who asked gave up, by their clock: it is dropped",
    )
    CONTROL_FAILED = "control.failed", "a door of the control plane met an error of its own; shards are not affected"
    CONTROL_LISTENING = "control.listening", "the control API answers at this address"
    CONTROL_MALFORMED = "control.malformed", "a remote control message is not what Celery sends; it is left alone"
    CONTROL_ROAD_LOST = "control.road_lost", "remote control has no connection to the broker; it is made again"
    CONTROL_ROAD_OPEN = "control.road_open", "remote control over the broker answers under this node name"
    DISPATCH_UNREADABLE = (
        "dispatch.unreadable",
        "a dispatch is no JSON in the replay either: it is skipped, and told by gateway.gap once the next one is here",
    )
    GATEWAY_GAP = "gateway.gap", "dispatches of a session may be missing; a GATEWAY_GAP task tells every group of it"
    GATEWAY_INFO = "gateway.info", "what GET /gateway/bot said: URL, shards, max_concurrency, identify budget"
    GATEWAY_URL = "gateway.url", "Discord names another gateway URL than before; shards dial it from now on"
    IDENTIFY_FORCED = "identify.forced", "an IDENTIFY was granted out of the reserve, because it was forced"
    IDENTIFY_PACE = "identify.pace", "Discord allows another max_concurrency than before; it is followed"
    IDENTIFY_WAITING = (
        "identify.waiting",
        "shards without a session have to wait: budget exhausted, reserve, or breaker; resumes go on",
    )
    LEDGER_UNBALANCED = "ledger.unbalanced", "the account of a session does not add up; a fault of this program"
    OUTBOX_RUNG = "outbox.rung", "a shard process is on another rung of the ladder; docs/reliability.md"
    PRESENCE_FAILED = (
        "presence.failed",
        "the presence function failed; the shard identifies without a presence",
    )
    PROCESS_DRAINED = "process.drained", "a shard process published what it had, saved its sessions and ends"
    PROCESS_EXITED = "process.exited", "a shard process ended"
    PROCESS_FAILED = "process.failed", "a shard process ends because of an error"
    PROCESS_FATAL = "process.fatal", "a shard process is not started again: its cause does not heal by a restart"
    PROCESS_HUNG = "process.hung", "a shard process does not answer and is killed"
    PROCESS_KILLED = "process.killed", "a shard process did not end in time, or Ctrl-C was pressed again; it was killed"
    PROCESS_RUNNING = "process.running", "a shard process answered and has its shards"
    PROCESS_STARTING = "process.starting", "a shard process was spawned"
    PUBLISHER_FAILED = "publisher.failed", "the publisher thread ended by an error; the process ends with it"
    PUBLISHER_GAVE_UP = (
        "publisher.gave_up",
        "the broker takes no message of this size, so this dispatch is lost and the others go on",
    )
    PUBLISHER_REFUSED = "publisher.refused", "the broker refused a message; it is published again"
    ROLL_DONE = "roll.done", "a rolling restart replaced every shard process of this host"
    ROLL_HALTED = "roll.halted", "a rolling restart stopped before its end; the processes go on as they are"
    ROUTES_APPLIED = "routes.applied", "[routes] was read again and decides about what comes in from now on"
    ROUTES_REFUSED = "routes.refused", "[routes] was read again and has a fault; the old routes stay"
    SERVICE_STARTED = "service.started", "the supervisor runs with these options"
    SERVICE_STOPPED = "service.stopped", "everything is flushed and saved; the supervisor ends"
    SERVICE_STOPPING = "service.stopping", "a signal or a fatal cause ends the service; shards drain"
    SERVICE_WAITING = "service.waiting", "another service runs shards of ours with the same state; we wait for its end"
    SERVICE_WITHOUT_BROKER = (
        "service.without_broker",
        "the broker does not take us, but sessions wait to be resumed: the shards connect and keep what they receive",
    )
    SESSION_FORGOTTEN = "session.forgotten", "the session cannot be resumed; the shard identifies anew"
    SESSION_OPENED = "session.opened", "READY: a new session began"
    SESSION_REPLAYED = "session.replayed", "the RESUMED before was an old one: so many dispatches more were replayed"
    SESSION_RESUMED = "session.resumed", "RESUMED: the session goes on and missed dispatches were replayed"
    SESSION_SUPERSEDED = (
        "session.superseded",
        "the store has a newer session of the shard, which stays: another service runs it, too",
    )
    SETTINGS_APPLIED = "settings.applied", "a rolling restart brings these new settings and the installed code in"
    SETTINGS_REFUSED = (
        "settings.refused",
        "the settings were read again for a rolling restart and have a fault; nothing was restarted",
    )
    SHARD_CLOSED = "shard.closed", "the gateway connection ended or could not be opened; the shard reconnects"
    SHARD_DEAF = "shard.deaf", "a silent shard hears nothing with a new session either; it is left alone for a day"
    SHARD_COUNT_REFUSED = (
        "shard.count_refused",
        "Discord refuses a shard of this shard count; shards that have a session go on, the reason says what to set",
    )
    SHARD_FATAL = "shard.fatal", "Discord closed with a code after which no connection is allowed"
    SHARD_HEALED = "shard.healed", "a silent shard hears again after another connection"
    SHARD_IDENTIFYING = "shard.identifying", "the shard had its turn and sent IDENTIFY"
    SHARD_NOTE = "shard.note", "something rare in the protocol, named in the field note"
    SHARD_RESTARTING = "shard.restarting", "the shard is told to make another connection: resume or identify"
    SHARD_SILENT = (
        "shard.silent",
        "a shard ACKs and hears nothing, against its own past and its siblings; it resumes, then identifies",
    )
    SHARD_STATE = "shard.state", "the shard's state machine is in another state"
    SHARD_SUSPENDED = (
        "shard.suspended",
        "the outbox is full: the shard left its connection, resumably, until there is room",
    )
    SHARD_UNSUSPENDED = "shard.unsuspended", "the outbox has room again: the shard reconnects and resumes"
    SHARD_ZOMBIED = "shard.zombied", "Discord answered no heartbeat for an interval; the shard reconnects"
    SPOOL_ADOPTED = "spool.adopted", "dispatches that an earlier process left on disk are published now"
    SPOOL_DAMAGED = (
        "spool.damaged",
        "a spool file cannot be read and was moved aside; what is lost is told by gateway.gap",
    )
    SPOOL_FAILED = (
        "spool.failed",
        "the spool cannot be written (dispatches wait in memory, then with Discord), or part of it not be read",
    )
    SPOOL_FULL = "spool.full", "the spool has all that it may have; dispatches wait in memory, then with Discord"
    STATE_BACK = "state.back", "the state store can be used again; everything held meanwhile is written"
    STATE_EVICTS = (
        "state.evicts",
        "the state store drops keys when its memory is full, permits too: set maxmemory-policy noeviction there",
    )
    STATE_FAILED = (
        "state.failed",
        "the state store could not be read or written; sessions are kept in memory and nobody identifies",
    )
    WORKER_EXITED = "worker.exited", "a worker of `gateway-service worker` ended"
    WORKER_FATAL = "worker.fatal", "a worker is not started again: its cause does not heal by a restart"
    WORKER_HUNG = (
        "worker.hung",
        "a worker whose handlers are not at work gave no sign of life for a minute and is killed",
    )
    WORKER_KILLED = "worker.killed", "a worker did not finish within the grace period, or Ctrl-C was pressed again"
    WORKER_STARTING = "worker.starting", "a worker was spawned"
    WORKERS_STOPPING = "workers.stopping", "a signal or a worker that was given up ends all workers"


def log_event(log: logging.Logger, level: int, event: LogEvent, /, *, exc_info: bool = False, **fields: Any) -> None:
    """Log one event with its fields; costs next to nothing when ``level`` is not enabled."""
    if log.isEnabledFor(level):
        log.log(level, event.value, exc_info=exc_info, extra={"event_fields": fields}, stacklevel=2)


# The password in any URL, and anything shaped like a Discord bot token, are masked even when nobody registered them.
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+(?=@)")
_DISCORD_TOKEN: Final = re.compile(r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}")
# A shorter secret would blot out ordinary words; as part of a URL it is masked all the same.
_MIN_SECRET_CHARS: Final = 6

_secrets: set[str] = set()


def register_secret(value: str) -> None:
    """Mask ``value`` in everything this process logs from now on, percent-encoded or not."""
    _secrets.update(form for form in (value, quote(value, safe=""), unquote(value)) if len(form) >= _MIN_SECRET_CHARS)


def redact(text: str) -> str:
    """Return ``text`` with registered secrets, passwords in URLs and Discord tokens masked."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _URL_PASSWORD.sub(rf"\1:{MASK}", text)
    return _DISCORD_TOKEN.sub(MASK, text)


class _Formatter(logging.Formatter):
    """What both formats share: UTC times with milliseconds, fields, and no secret in the finished line."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def traceback_of(self, record: logging.LogRecord) -> str | None:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts) or None


def _fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "event_fields", {})
    return fields


class TextFormatter(_Formatter):
    """One readable line: ``2026-01-31T12:00:00.123Z warning shard.zombied shard_id=3 delay_s=0.71``."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record)} {record.levelname.lower():<7} "
        fields = _fields_of(record)
        message = record.getMessage()
        words = [message if hasattr(record, "event_fields") else f"{record.name}: {message}"]
        words += [f"{name}={_as_text(value)}" for name, value in fields.items() if value is not None]
        lines = [head + " ".join(words)]
        if traceback := self.traceback_of(record):
            lines.append(traceback)
        return redact("\n".join(lines))


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, event or message, logger, pid, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        is_event = hasattr(record, "event_fields")
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "event" if is_event else "message": redact(record.getMessage()),
            "logger": record.name,
            "pid": record.process,
        }
        for name, value in _fields_of(record).items():
            line[name if name not in line else f"{name}_"] = _clean(value)
        if traceback := self.traceback_of(record):
            line["traceback"] = redact(traceback)
        return orjson.dumps(line, default=lambda value: redact(str(value)), option=orjson.OPT_NON_STR_KEYS).decode()


def _as_text(value: object) -> str:
    if isinstance(value, str):
        if not value.isprintable():  # a close reason is Discord's; a terminal must not obey it
            return json.dumps(value)
        return orjson.dumps(value).decode() if not value or re.search(r'[\s="]', value) else value
    return str(round(value, 3)) if isinstance(value, float) else str(value)


def _clean(value: Any) -> Any:
    """Mask secrets before JSON escapes characters of them."""
    match value:
        case str():
            return redact(value)
        case int() if not -(2**63) <= value < 2**64:
            return str(value)  # beyond what orjson writes
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case _:
            return value


# Their info lines tell of single requests and frames, which is our debug.
_TALKATIVE_LOGGERS: Final = ("amqp", "httpcore", "httpx", "kombu", "uvicorn", "websockets")
_OUR_HANDLER: Final = "gateway-service"


def configure_logging(level: LogLevel = "info", log_format: LogFormat = "text", stream: TextIO | None = None) -> None:
    """Send every log record of this process to ``stream`` (standard error) in one format.

    May be called again: the handler of the previous call is replaced, handlers of others stay.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.set_name(_OUR_HANDLER)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == _OUR_HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(threshold)
    for name in _TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if threshold <= logging.DEBUG else logging.WARNING)
    logging.captureWarnings(capture=True)
