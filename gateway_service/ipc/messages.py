"""Every message between the supervisor and a shard process; ``type`` tells them apart on the wire.

A conversation: the child says Hello, the supervisor Configure. From then on the supervisor sends Ping, Permit,
GatewayUrl, RestartShard and at the end Drain; the child Pong, Report, the three messages about permits,
GatewayUrlRequest, Fatal and at the end Drained.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer

from gateway_service.metrics import LATENCY_BUCKETS_S, Histogram
from gateway_service.protocol.constants import Compression
from gateway_service.telemetry import LogFormat, LogLevel


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Configure(_Message):
    """The first message to a child, once: everything it works by. Secrets travel here and nowhere else."""

    type: Literal["configure"] = "configure"
    token: SecretStr
    gateway_url: str
    """Where a shard without a session connects to."""
    num_shards: int
    shard_ids: tuple[int, ...]
    intents: int
    compression: Compression
    large_threshold: int
    broker_url: SecretStr
    routes: dict[str, Any] = {}
    """As ``[routes]`` has them; their faults were found before."""
    state_url: SecretStr
    outbox_max_bytes: int
    spool_dir: str  # of this bot
    spool_max_bytes: int
    service_shard_ids: tuple[int, ...]
    """The shards of all processes of the service."""
    tracing: bool = False
    log_level: LogLevel
    log_format: LogFormat

    @field_serializer("token", "broker_url", "state_url", when_used="json")
    def _reveal(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


class ApplyRoutes(_Message):
    """Dispatches that come in from now on go by these routes."""

    type: Literal["apply_routes"] = "apply_routes"
    routes: dict[str, Any]


class Ping(_Message):
    """Asks for a :class:`Pong`; a child that owes one for too long is hung and gets killed."""

    type: Literal["ping"] = "ping"
    nonce: int


class Permit(_Message):
    """The shard may IDENTIFY now, with this presence."""

    type: Literal["permit"] = "permit"
    shard_id: int
    number: int  # of two sessions the one with the higher number began later
    presence: dict[str, Any] | None = None


class GatewayUrl(_Message):
    """The generic URL is this one from now on."""

    type: Literal["gateway_url"] = "gateway_url"
    url: str


RestartMode = Literal["resume", "identify"]
"""What becomes of the session of a shard that is restarted: it goes on, or it ends and a new one begins."""


class RestartShard(_Message):
    """The shard leaves its connection and makes another at once; ``identify`` ends its session on purpose."""

    type: Literal["restart_shard"] = "restart_shard"
    shard_id: int
    mode: RestartMode


class Command(_Message):
    """Send a command to Discord through a shard; :class:`CommandDone` with the same ``id`` answers."""

    type: Literal["command"] = "command"
    id: int
    shard_id: int
    op: int
    """3, 4, 8, 31 or 43."""
    data: dict[str, Any]
    timeout_s: float = 0.0
    """How long to wait for Discord's answer; 0 asks for none."""


class Drain(_Message):
    """Take nothing new, flush, save, close resumably, say :class:`Drained` and exit 0 within ``timeout_s``."""

    type: Literal["drain"] = "drain"
    timeout_s: float


class Hello(_Message):
    """The first message of a child: it lives."""

    type: Literal["hello"] = "hello"
    pid: int


class Pong(_Message):
    """Answers the :class:`Ping` of the same nonce, from the loop that serves the shards."""

    type: Literal["pong"] = "pong"
    nonce: int


class CommandDone(_Message):
    """The end of a :class:`Command`: queued, answered by Discord, or refused."""

    type: Literal["command_done"] = "command_done"
    id: int
    result: list[Any] = []
    """``d`` of each dispatch of Discord's answer."""
    error: str | None = None
    """The ``code`` of a ControlError."""
    message: str = ""
    retry_after_s: float | None = None


class ShardStatus(_Message):
    """One shard at one moment; counters count from the start of its process."""

    shard_id: int
    state: str
    """A state of protocol/states.py; in capitals that of its process, for a shard without one that speaks."""
    session: str | None = None
    """Hash of the session id."""
    session_since: float | None = None
    """UNIX seconds at which READY opened it; resumed sessions keep it, whatever process has them."""
    received_seq: int | None = None
    published_seq: int | None = None
    latency_s: float | None = None
    """Between the last heartbeat and its ACK."""
    guilds: int = 0
    received: int = 0
    """Dispatches read from the socket, replayed ones that were dropped left out."""
    published: int = 0
    """Dispatches confirmed by the broker."""
    rung: str = "confirming"
    """How far down the ladder the shard is while the broker is in trouble, see publisher/rungs.py."""
    pending_bytes: int = 0
    """In memory, not confirmed by the broker."""
    spool_bytes: int = 0
    spool_rows: int = 0
    """Dispatches on disk, not confirmed by the broker."""
    confirm_lag_s: float = 0.0
    """Age of the oldest dispatch that the broker has not confirmed; 0 when it has all."""
    replayed: int = 0
    """Of ``received``: those that a RESUME brought."""
    heard: int = 0
    """Of ``received``: those that only an intent lets through, by which a deaf session is found."""
    duplicates: int = 0
    """Replayed dispatches that were dropped because this process had them already."""
    gaps: int = 0
    """GATEWAY_GAP messages: how often something may have been lost."""
    is_balanced: bool = True
    """The ledger of the session adds up; see ``gateway-service ledger``."""
    queued_commands: int = 0  # those to Discord that wait until the shard is live and the send limit lets them pass
    resumes: int = 0
    identifies: int = 0
    reconnects: int = 0
    since: float
    """UNIX seconds at which the shard entered ``state``."""
    reason: str | None = None
    """Why the shard is where it is, if a person must act; the supervisor adds it."""


class HistogramCounts(_Message):
    """A histogram of metrics.py at one moment."""

    counts: tuple[int, ...] = (0,) * (len(LATENCY_BUCKETS_S) + 1)
    sum_s: float = 0.0

    @classmethod
    def of(cls, histogram: Histogram) -> "HistogramCounts":
        return cls(counts=tuple(histogram.counts), sum_s=histogram.sum_s)


class ProcessStatus(_Message):
    """What the shards of one process share; counters count from its start."""

    broker: str
    """State of the publisher: connecting, up, blocked, down."""
    broker_error: str | None = None
    """Why the broker is not up, without secrets."""
    rung: str = "confirming"
    """The lowest rung of its shards."""
    pending_bytes: int = 0
    """Of the outbox, in memory."""
    outbox_max_bytes: int = 0
    spool_bytes: int = 0
    spool_rows: int = 0
    """Dispatches on disk."""
    spool_max_bytes: int = 0
    spool_error: str | None = None
    """Why nothing can be written to the disk."""
    state_error: str | None = None
    """Why sessions cannot be saved."""
    confirm_lag_s: float = 0.0
    """Age of its oldest dispatch that the broker has not confirmed; 0 when it has all."""
    cpu_s: float = 0.0
    """User and system time so far."""
    max_rss_bytes: int = 0
    confirm_latency: HistogramCounts = HistogramCounts()
    """From the socket to the broker's confirm."""
    heartbeat_latency: HistogramCounts = HistogramCounts()
    reconnects: tuple[tuple[str, str, int], ...] = ()
    """How many connections ended, by cause and by Discord's close code, ``none`` or ``other``."""


class Report(_Message):
    """What a child tells of itself every second, and at once when a shard changes its state."""

    type: Literal["report"] = "report"
    shards: tuple[ShardStatus, ...]
    process: ProcessStatus


class PermitRequest(_Message):
    """The shard has no session and wants to IDENTIFY."""

    type: Literal["permit_request"] = "permit_request"
    shard_id: int


class PermitCancel(_Message):
    """The shard lost its connection before it could IDENTIFY: its request, or its unused permit, is void."""

    type: Literal["permit_cancel"] = "permit_cancel"
    shard_id: int


class GatewayUrlRequest(_Message):
    """The generic URL does not work any more for a shard; :class:`GatewayUrl` follows if Discord has another one."""

    type: Literal["gateway_url_request"] = "gateway_url_request"


class IdentifySent(_Message):
    """The shard used its permit just now; the spacing to the next one counts from here."""

    type: Literal["identify_sent"] = "identify_sent"
    shard_id: int


class Fatal(_Message):
    """The shard stopped for good: Discord allows no further connection."""

    type: Literal["fatal"] = "fatal"
    shard_id: int
    code: int | None = None
    """Discord's close code, if there was one."""
    reason: str


class Drained(_Message):
    """The last message of a child: everything is flushed and saved."""

    type: Literal["drained"] = "drained"


SupervisorMessage = Configure | ApplyRoutes | Ping | Permit | GatewayUrl | Command | RestartShard | Drain
"""What a child receives."""

ChildMessage = (
    Hello
    | Pong
    | Report
    | PermitRequest
    | PermitCancel
    | GatewayUrlRequest
    | IdentifySent
    | CommandDone
    | Fatal
    | Drained
)
"""What the supervisor receives."""

AnySupervisorMessage = Annotated[SupervisorMessage, Field(discriminator="type")]
AnyChildMessage = Annotated[ChildMessage, Field(discriminator="type")]
