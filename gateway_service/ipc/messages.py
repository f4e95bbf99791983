"""Every message between the supervisor and a shard process; ``type`` tells them apart on the wire.

A conversation: the child says Hello, the supervisor Configure. From then on the supervisor sends Ping, Permit,
GatewayUrl, RestartShard and at the end Drain; the child Pong, Report, the four messages about permits,
GatewayUrlRequest, Fatal and at the end Drained.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer

from gateway_service.ipc.statuses import ProcessStatus, ShardStatus
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
    """The shard used its permit just now."""

    type: Literal["identify_sent"] = "identify_sent"
    shard_id: int


class IdentifyAnswered(_Message):
    """Discord answered the IDENTIFY of the shard, or never will; the spacing to the next one counts from here."""

    type: Literal["identify_answered"] = "identify_answered"
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
    | IdentifyAnswered
    | CommandDone
    | Fatal
    | Drained
)
"""What the supervisor receives."""

AnySupervisorMessage = Annotated[SupervisorMessage, Field(discriminator="type")]
AnyChildMessage = Annotated[ChildMessage, Field(discriminator="type")]
