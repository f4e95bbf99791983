"""The generated pages that list things: settings, exit codes, log events."""  # noqa: INP001

from typing import Final

from gateway_service import errors, refusals
from gateway_service.metrics import LATENCY_BUCKETS_S, METRICS
from gateway_service.protocol.constants import PRIVILEGED_INTENTS, Intents
from gateway_service.settings import SETTINGS, Setting
from gateway_service.settings.table import CONFIG_ENV, CONFIG_FILE
from gateway_service.telemetry import LogEvent

EXIT_CODES: Final = {
    errors.EX_OK: ("EX_OK", "done; `start` was asked to stop, flushed everything and kept its sessions"),
    errors.EX_REFUSED: ("EX_REFUSED", "the service answered and refused the operation, or could do only a part of it"),
    errors.EX_USAGE: ("EX_USAGE", "the command line is wrong: an unknown command, flag, shard or argument"),
    errors.EX_UNAVAILABLE: ("EX_UNAVAILABLE", "something outside did not answer; starting again later may help"),
    errors.EX_SOFTWARE: ("EX_SOFTWARE", "a fault in this program; `GATEWAY_LOG_LEVEL=debug` shows where"),
    errors.EX_CONFIG: ("EX_CONFIG", "a setting is wrong or Discord refused it; starting again cannot help"),
    errors.EX_INTERRUPTED: (
        "EX_INTERRUPTED",
        "Ctrl-C before there was anything to stop in order, or pressed again while it stopped",
    ),
}


def settings() -> str:
    """Return the page about settings."""
    return page(
        "# Settings",
        "",
        "Every setting has one name in four places: a flag of `gateway-service start`, an environment variable, a key",
        f"of the TOML file (`--config`, `{CONFIG_ENV}`, or `{CONFIG_FILE}` in the working folder) and a field of",
        "`GatewayOptions` (but `token_file`). A flag overrides the variable, the variable overrides the file, the file",
        "overrides the default. An empty variable counts as not set.",
        "",
        "The last column says what brings a new value in. A *start* of the service reads everything; its shards",
        "resume, unless the shard count or the intents are other ones, which need new sessions. A *roll* is",
        "`gateway-service rolling-restart`: it reads the files again, and does not begin when there is a fault or a",
        "new value that it cannot bring in. Flags and variables stay those of the start. What says *worker* is read by",
        "workers when they start, and concerns nobody else.",
        "",
        "| variable | key and field | flag | default | meaning | new by a |",
        "|---|---|---|---|---|---|",
        *(_setting(setting) for setting in SETTINGS),
        "",
        "All settings are checked at once, and each fault is one line on standard error that begins with the place it",
        "was found in. A key or a `GATEWAY_` variable that is not in this table is a fault too, so that a typing error",
        "does not pass as a default; what Kubernetes adds for Services named `gateway…` is passed over.",
        "",
        "The token has no flag, because every user of a machine can read the arguments of its programs. The same is",
        "true of a password in `--broker-url`: set the variable.",
        "",
        "## In the TOML file",
        "",
        "```toml",
        "shard_count = 32",
        'shards = ["0-3", 8, 9]',
        'intents = ["UNPRIVILEGED", "MESSAGE_CONTENT"]',
        'broker_url = "amqp://gateway:secret@rabbitmq:5672//"',
        "",
        "[presence]",
        'status = "idle"',
        "```",
        "",
        "## Intents",
        "",
        "Names may be joined by `,`, `|` or blanks, in any case. `ALL`, `UNPRIVILEGED`, `PRIVILEGED` and `NONE` are",
        "groups. A number is passed to Discord as it is.",
        "",
        "| name | bit | privileged |",
        "|---|---|---|",
        *(
            f"| `{intent.name}` | {int(intent).bit_length() - 1} | {'yes' if intent in PRIVILEGED_INTENTS else ''} |"
            for intent in Intents
        ),
        "",
        "A privileged intent must be switched on for the bot in the developer portal.",
    )


def _setting(setting: Setting) -> str:
    variables = " or ".join(f"`{name}`" for name in (setting.env, *setting.fallback_envs))
    flag = f"`{setting.flag}`" if setting.flag else ""
    key = f"`{setting.name}`"
    meaning = f"{setting.meaning} One of {', '.join(f'`{c}`' for c in setting.choices)}." if setting.choices else None
    default = f"`{setting.default}`" if setting.default else ""
    return f"| {variables} | {key} | {flag} | {default} | {meaning or setting.meaning} | {setting.taken_by} |"


def exit_codes() -> str:
    """Return the page about exit codes."""
    return page(
        "# Exit codes",
        "",
        "Whatever ends `gateway-service` says so in one line on standard error, and in its exit code: what cannot",
        "start in a line `gateway-service: …`, what ran in the log event `service.stopping` with its reason. Let a",
        "process manager restart on anything but 0, 2 and 78: systemd's `RestartPreventExitStatus=2 78`.",
        "",
        "| code | name | meaning | errors |",
        "|---|---|---|---|",
        *(
            f"| {code} | `{name}` | {meaning} | {', '.join(f'`{error}`' for error in _conditions_with(code))} |"
            for code, (name, meaning) in sorted(EXIT_CODES.items())
        ),
    )


def _conditions_with(code: int) -> list[str]:
    """Return the errors of a family, or a family that is one error; finer distinctions are for callers."""
    families = _children(errors.GatewayServiceError)
    conditions = [condition for family in families for condition in _children(family) or [family]]
    return [condition.__name__ for condition in conditions if condition.exit_code == code]


_TREE: Final = frozenset({errors.__name__, refusals.__name__})


def _children(error: type[errors.GatewayServiceError]) -> list[type[errors.GatewayServiceError]]:
    """Return what errors.py and refusals.py derive from ``error``; what other modules derive is not of the tree."""
    return [child for child in error.__subclasses__() if child.__module__ in _TREE]


def log_events() -> str:
    """Return the page about log lines."""
    return page(
        "# Log events",
        "",
        "A log line of the gateway is one of these names plus fields; the names are stable. `GATEWAY_LOG_FORMAT=json`",
        "writes one JSON object a line with `time` (UTC), `level`, `event`, `logger`, `pid` and the fields; lines of",
        "other libraries have `message` instead of `event`. Levels: debug is one payload, info a change of state,",
        "warning something we recovered from, error something a person must act on. Tokens and passwords are masked.",
        "",
        "| event | meaning |",
        "|---|---|",
        *(f"| `{event}` | {event.meaning} |" for event in LogEvent),
    )


def metrics() -> str:
    """Return the page about metrics."""
    return page(
        "# Metrics",
        "",
        "`GET /metrics` of the control API has these in Prometheus's text format. Labels are bounded by what one host",
        "runs: `shard` is a shard id, `process` the index of a shard process, `code` one of Discord's close codes,",
        "`cause` one of a dozen. No guild, user or session is ever a label. Counters of shards count from the start of",
        "the supervisor, those of processes from the start of the process.",
        "",
        "| metric | type | unit | labels | meaning |",
        "|---|---|---|---|---|",
        *(
            f"| `{metric.name}` | {metric.kind} | {metric.unit} | {', '.join(f'`{x}`' for x in metric.labels)} | "
            f"{metric.help} |"
            for metric in METRICS.values()
        ),
        "",
        f"Buckets of both histograms, in seconds: {', '.join(map(str, LATENCY_BUCKETS_S))}.",
    )


def page(*lines: str) -> str:
    """Return a generated page, which says so in its first line."""
    mark = "<!-- Generated by `python -m docs.generate`; do not edit. -->"
    return "\n".join([mark, *lines]) + "\n"
