"""What a simulated Discord is like; every default is Discord's own behaviour."""

import base64
from dataclasses import dataclass, field

from gateway_service.protocol.constants import IDENTIFY_WINDOW_S, PRIVILEGED_INTENTS, Intents

_DEFAULT_BOT_ID = 1_100_000_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Settings of a :class:`~gateway_service.simulator.simulator.Simulator`."""

    shards: int = 1
    """Recommended shard count in ``GET /gateway/bot``; clients may use any other."""
    guilds: int = 10
    members_per_guild: int = 5
    """Members besides the bot. They are computed, not stored: 75,000 cost nothing."""
    seed: int = 0
    """Same seed, same content of generated dispatches."""

    host: str = "127.0.0.1"
    """Address to listen on, and the host name in ``url``."""
    resume_host: str = "localhost"
    """Host name in ``resume_gateway_url``, unlike ``host`` so that the transcript tells which was dialled."""
    port: int = 0
    """Port of the REST API; 0 takes a free one."""
    gateway_port: int = 0
    control: bool = False
    """Whether ``POST /_sim/...`` may inject faults and dispatches from outside."""

    bot_id: int = _DEFAULT_BOT_ID
    token: str = field(default="", repr=False)
    """The only accepted bot token; made from ``bot_id`` when empty, as libraries read the id from it."""
    privileged_intents: Intents = PRIVILEGED_INTENTS
    """Privileged intents granted to the application; another one is answered with 4014."""
    strip_content: bool = True
    """Whether sessions without MESSAGE_CONTENT get messages without content."""

    heartbeat_interval_ms: int = 41_250
    heartbeat_lapse_code: int = 1000
    """Close code for a client that stops heartbeating: 1000 is seen in the field, 4009 is documented."""
    reconnect_grace_s: float = 10.0
    """How long a client may ignore op 7 before the connection is closed with 1001."""
    enforce_send_limit: bool = True

    max_concurrency: int = 1
    identify_window_s: float = IDENTIFY_WINDOW_S
    """One IDENTIFY per key in this window; 0 accepts all."""
    identify_limit: int = 1000
    """Daily session starts; the one beyond it ends every session and kills the token."""
    identify_remaining: int | None = None
    """Session starts left at the beginning; ``identify_limit`` when None."""
    required_shard_multiple: int | None = None
    """Large bot sharding: another ``num_shards`` is refused with 4010."""
    max_guilds_per_shard: int = 2500

    session_ttl_s: float = 300.0
    """How long a session without a connection can be resumed."""
    replay_capacity: int = 100_000
    """Dispatches kept per session."""
    replay_max_bytes: int = 64 * 1024 * 1024
    replay_ttl_s: float = 120.0
    """How long a sent dispatch stays replayable; unsent ones do not age, and none does while the client is away."""
    trim_on_heartbeat: bool = False
    """Whether the number in a heartbeat frees the replay buffer up to it, which Discord does not document."""

    compression_level: int | None = None
    """Level for zlib or zstd; each library's default when None."""
    zlib_frame_bytes: int | None = None
    """Cut every zlib-stream message into WebSocket messages of this size."""
    message_bytes: int = 1000
    """Approximate size of the ``d`` of a generated MESSAGE_CREATE."""
    transcript_limit: int = 100_000
    """Records kept; the oldest go first. A run of dispatches on one connection is one record."""

    def __post_init__(self) -> None:
        for name in ("shards", "max_concurrency", "heartbeat_interval_ms", "replay_capacity", "transcript_limit"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.guilds < 0 or self.members_per_guild < 0:
            raise ValueError("guilds and members_per_guild must not be negative")
        if not self.token:
            bot_part = base64.urlsafe_b64encode(str(self.bot_id).encode()).rstrip(b"=").decode()
            object.__setattr__(self, "token", f"{bot_part}.simulated.not-a-secret")
