"""What a shard and its process tell of themselves: one moment each, inside of every report."""

from pydantic import BaseModel, ConfigDict

from gateway_service.metrics import LATENCY_BUCKETS_S, Histogram


class _Status(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ShardStatus(_Status):
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
    pending: int = 0
    """Dispatches in memory, not confirmed by the broker."""
    pending_bytes: int = 0
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


class HistogramCounts(_Status):
    """A histogram of metrics.py at one moment."""

    counts: tuple[int, ...] = (0,) * (len(LATENCY_BUCKETS_S) + 1)
    sum_s: float = 0.0

    @classmethod
    def of(cls, histogram: Histogram) -> "HistogramCounts":
        return cls(counts=tuple(histogram.counts), sum_s=histogram.sum_s)


class ProcessStatus(_Status):
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
