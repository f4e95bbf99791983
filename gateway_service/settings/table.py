"""The one list of settings: every name a setting has, and what it means.

The command line, the reading of environment and file, and docs/settings.md are made from it; a test holds it
to the fields of :class:`~gateway_service.settings.GatewayOptions`.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from gateway_service.protocol.constants import Compression
from gateway_service.telemetry import LogFormat, LogLevel

TakenBy = Literal["start", "roll", "worker"]
"""What brings a new value in: a start of the supervisor, also a rolling restart, or a start of the workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting under all its names."""

    name: str
    """Key in ``gateway.toml`` and field of ``GatewayOptions``."""
    env: str
    flag: str | None
    """None for the token, which must not be seen in a list of processes, and for what gateway and worker must share."""
    metavar: str
    """Empty for a flag that has no value and means yes."""
    default: str
    meaning: str
    choices: tuple[str, ...] = ()
    fallback_envs: tuple[str, ...] = ()
    """Variables of other programs, read when ``env`` is not set."""
    taken_by: TakenBy = "start"


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        name="token",
        env="DISCORD_TOKEN",
        flag=None,
        metavar="TOKEN",
        default="",
        meaning="The bot token, with or without 'Bot ' before it.",
    ),
    Setting(
        name="token_file",
        env="DISCORD_TOKEN_FILE",
        flag="--token-file",
        metavar="PATH",
        default="",
        meaning="A file that holds the bot token, such as a mounted secret.",
    ),
    Setting(
        name="shard_count",
        env="GATEWAY_SHARD_COUNT",
        flag="--shard-count",
        metavar="N|auto",
        default="auto",
        meaning="How many shards the bot has in all, on every host; 'auto' takes what Discord recommends.",
    ),
    Setting(
        name="shards",
        env="GATEWAY_SHARDS",
        flag="--shards",
        metavar="IDS",
        default="all",
        meaning="The shards that run here: '0-3,8,9'.",
    ),
    Setting(
        name="shards_per_pod",
        env="GATEWAY_SHARDS_PER_POD",
        flag="--shards-per-pod",
        metavar="N",
        default="",
        meaning="Instead of naming shards: pod 0 runs the first N, pod 1 the next N, the last one what is left.",
    ),
    Setting(
        name="ordinal",
        env="GATEWAY_ORDINAL",
        flag="--ordinal",
        metavar="N",
        default="the number at the end of the host name",
        meaning="Which of these pods this is, from 0; a StatefulSet names its pods so.",
    ),
    Setting(
        name="processes",
        env="GATEWAY_PROCESSES",
        flag="--processes",
        metavar="N",
        default="one per CPU core",
        meaning="Shard processes to spread the shards over.",
    ),
    Setting(
        name="intents",
        env="GATEWAY_INTENTS",
        flag="--intents",
        metavar="NAMES|NUMBER",
        default="UNPRIVILEGED",
        meaning="Gateway intents: names with commas between them (ALL, PRIVILEGED and UNPRIVILEGED are groups), "
        "or Discord's number.",
    ),
    Setting(
        name="presence",
        env="GATEWAY_PRESENCE",
        flag="--presence",
        metavar="JSON|PKG.MOD:FUNC",
        default="",
        meaning="Presence to identify with: a JSON object, or the import path of a function that is called with the "
        "shard id before each identify.",
        taken_by="roll",
    ),
    Setting(
        name="tasks",
        env="GATEWAY_TASKS",
        flag=None,
        metavar="MODULES",
        default="tasks",
        meaning="Modules with task handlers, with commas between them; the worker imports them.",
        taken_by="worker",
    ),
    Setting(
        name="broker_url",
        env="GATEWAY_BROKER_URL",
        flag="--broker-url",
        metavar="URL",
        default="amqp://guest:guest@127.0.0.1:5672//",
        meaning="The Celery broker. A password in a flag is visible to every user of the host: set the variable.",
        fallback_envs=("CELERY_BROKER_URL",),
    ),
    Setting(
        name="routes",
        env="GATEWAY_ROUTES",
        flag=None,
        metavar="JSON",
        default="",
        meaning="What becomes of dispatches by their name, a table of the TOML file; see handlers.md.",
        taken_by="roll",
    ),
    Setting(
        name="state_url",
        env="GATEWAY_STATE_URL",
        flag="--state-url",
        metavar="URL",
        default="sqlite:///.gateway/state.db",
        meaning="Where sessions and the IDENTIFYs of the bot are kept: 'sqlite:///' and a path for the services of one "
        "host, 'redis://…' or 'rediss://…' (TLS) for those of many; see state.md.",
    ),
    Setting(
        name="once_url",
        env="GATEWAY_ONCE_URL",
        flag=None,
        metavar="URL",
        default="",
        meaning="Where workers note which runs of handlers with `once=True` were made: `redis://…`, or `sqlite:///` "
        "and a path for the workers of one host. By default the state store, or else the broker, when that is Redis; "
        "else `sqlite:///.gateway/once.db`.",
        taken_by="worker",
    ),
    Setting(
        name="outbox_max_bytes",
        env="GATEWAY_OUTBOX_MAX_BYTES",
        flag="--outbox-max-bytes",
        metavar="SIZE",
        default="64MiB",
        meaning="Memory of each shard process for dispatches that the broker has not confirmed: 64MiB, 500KiB, 1GiB.",
        taken_by="roll",
    ),
    Setting(
        name="spool_max_bytes",
        env="GATEWAY_SPOOL_MAX_BYTES",
        flag="--spool-max-bytes",
        metavar="SIZE",
        default="1GiB",
        meaning="Disk of each shard process for dispatches of a longer outage of the broker; 0 uses none.",
        taken_by="roll",
    ),
    Setting(
        name="spool_dir",
        env="GATEWAY_SPOOL_DIR",
        flag="--spool-dir",
        metavar="PATH",
        default="spool, beside the state file or in .gateway",
        meaning="Folder for those dispatches, on a disk that outlives this service: what is in it counts as safe.",
    ),
    Setting(
        name="api_url",
        env="GATEWAY_API_URL",
        flag="--api-url",
        metavar="URL",
        default="https://discord.com/api/v10",
        meaning="Discord's REST API, or a proxy or a simulator of it.",
    ),
    Setting(
        name="url",
        env="GATEWAY_URL",
        flag="--url",
        metavar="URL",
        default="",
        meaning="The gateway to connect to, instead of the one that the API names.",
    ),
    Setting(
        name="compression",
        env="GATEWAY_COMPRESSION",
        flag="--compression",
        metavar="NAME",
        default="zstd-stream",
        meaning="Transport compression.",
        choices=get_args(Compression),
        taken_by="roll",
    ),
    Setting(
        name="large_threshold",
        env="GATEWAY_LARGE_THRESHOLD",
        flag="--large-threshold",
        metavar="N",
        default="50",
        meaning="Members above which Discord leaves offline members out of GUILD_CREATE: 50 to 250.",
        taken_by="roll",
    ),
    Setting(
        name="control_address",
        env="GATEWAY_CONTROL_ADDRESS",
        flag="--control-address",
        metavar="HOST:PORT|off",
        default="127.0.0.1:9420",
        meaning="Where the control API listens, and where the commands find it; port 0 takes a free one. Another "
        "address than one of loopback needs tokens.",
    ),
    Setting(
        name="control_tokens_file",
        env="GATEWAY_CONTROL_TOKENS_FILE",
        flag="--control-tokens-file",
        metavar="PATH",
        default="",
        meaning="A file of bearer tokens for the control API: lines of a name, 'read' or 'control', and the token.",
    ),
    Setting(
        name="identify_reserve",
        env="GATEWAY_IDENTIFY_RESERVE",
        flag="--identify-reserve",
        metavar="PERCENT",
        default="20",
        meaning="Part of the daily IDENTIFYs that is kept for emergencies: shards without a session wait instead.",
    ),
    Setting(
        name="force_identify",
        env="GATEWAY_FORCE_IDENTIFY",
        flag="--force",
        metavar="",
        default="no",
        meaning="Spend the reserve too, yes or no; never more than Discord allows.",
        choices=("yes", "no"),
    ),
    Setting(
        name="worker_metrics_address",
        env="GATEWAY_WORKER_METRICS_ADDRESS",
        flag=None,
        metavar="HOST:PORT|off",
        default="off",
        meaning="Where a worker serves `/metrics` for Prometheus: how old dispatches are when it takes them, how late "
        "interactions begin. Each further worker of the host takes the next free port.",
        taken_by="worker",
    ),
    Setting(
        name="tracing",
        env="GATEWAY_TRACING",
        flag="--tracing",
        metavar="",
        default="no",
        meaning="Trace dispatches with OpenTelemetry from the socket to their handlers, yes or no; see tracing.md.",
        choices=("yes", "no"),
        taken_by="roll",
    ),
    Setting(
        name="log_level",
        env="GATEWAY_LOG_LEVEL",
        flag="--log-level",
        metavar="LEVEL",
        default="info",
        meaning="How much is logged.",
        choices=get_args(LogLevel),
        taken_by="roll",
    ),
    Setting(
        name="log_format",
        env="GATEWAY_LOG_FORMAT",
        flag="--log-format",
        metavar="FORMAT",
        default="text",
        meaning="How a line of the log is written.",
        choices=get_args(LogFormat),
        taken_by="roll",
    ),
)

BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
CONFIG_ENV: Final = "GATEWAY_CONFIG"
CONFIG_FILE: Final = "gateway.toml"
