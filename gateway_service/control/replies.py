"""What operations answer: one model each, inside an :class:`Answer` that says who answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gateway_service.ipc.statuses import ProcessStatus, ShardStatus


class Reply(BaseModel):
    """The result of one supervisor; several become one by :meth:`joined`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def joined(self, other: "Reply") -> "Reply":
        """Return a reply whose lists hold both parts; of everything else ours counts."""
        lists = {name: value + getattr(other, name) for name, value in self if isinstance(value, list)}
        return self.model_copy(update=lists)

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        """The shards that this reply speaks of, so that a caller knows when all have answered."""
        return frozenset()


class ShardView(ShardStatus):
    """One shard as an operator sees it; counters count from the start of its supervisor."""

    host: str
    """Node name of its supervisor."""
    process: int
    """Index of its process on that host."""
    pid: int | None = None
    restarts: int = 0
    """How often its process ended without being asked to."""
    lag: int = 0
    """Dispatches of its session in memory and on disk: received and not yet confirmed by the broker."""


class ShardsReply(Reply):
    num_shards: int
    shards: list[ShardView]
    unrouted: dict[str, int] = {}
    """By dispatch name, how many messages lie at the broker because nobody subscribed to them."""

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(shard.shard_id for shard in self.shards)


class ShardReply(Reply):
    shard: ShardView


class ProcessView(BaseModel):
    """One shard process."""

    host: str
    index: int
    state: str
    since: float
    pid: int | None
    shard_ids: list[int]
    restarts: int
    last_exit: str | None
    status: ProcessStatus | None


class ProcessesReply(Reply):
    num_shards: int
    processes: list[ProcessView]

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(shard_id for process in self.processes for shard_id in process.shard_ids)


class RestartReply(Reply):
    shard_ids: list[int]
    """What restarts."""
    outcome: str
    """``requested``; or, when the caller waited, ``resumed`` or ``identified``."""


class DrainReply(Reply):
    shard_ids: list[int]
    """The shards that leave, with their sessions kept."""

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(self.shard_ids)


class RollView(BaseModel):
    """How far the rolling restart of one host is."""

    host: str
    state: str = Field(examples=["rolling"])
    """``idle``, ``rolling``, ``done`` or ``halted``."""
    began_at: float | None = None
    """Unix time; null when there was none since the start of the service. Tells one roll from the one before."""
    processes: int = 0
    processes_done: int = 0
    identifies_used: int = 0
    dispatches_lost: int = 0
    resumes: int = 0
    passed_over: list[int] = []
    """Processes that were given up before; nothing but a restart of the service starts them again."""
    changed: list[str] = Field(default=[], examples=[["log_level"]])
    """The settings that it brings new values of."""
    reason: str | None = None
    """Why it halted."""
    then: list[str] = []
    """Hosts that roll after this one; when this one halts, they go on as they are."""
    shard_ids: list[int] = []
    """The shards of this host."""


class RollingRestartReply(Reply):
    hosts: list[RollView]

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(shard_id for host in self.hosts for shard_id in host.shard_ids)


class RoutesView(BaseModel):
    """The routes in force on one host."""

    host: str
    shard_ids: list[int]
    """The shards that go by them."""
    routes: dict[str, dict[str, Any]] = Field(examples=[{"PRESENCE_UPDATE": {"drop": True}}])
    """Options by pattern, the most specific pattern first."""


class RoutesReply(Reply):
    hosts: list[RoutesView]

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(shard_id for host in self.hosts for shard_id in host.shard_ids)


class PresenceReply(Reply):
    shard_ids: list[int]
    """Shards that send it now or as soon as they are live; for those in ``failures`` it is kept until they are live."""

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(self.shard_ids)


class SentReply(Reply):
    shard_id: int
    """The shard that sends it now or as soon as it is live."""


class MembersReply(Reply):
    shard_id: int
    guild_id: str
    members: list[dict[str, Any]]
    presences: list[dict[str, Any]]
    not_found: list[Any]
    chunks: int


class DiscordReply(Reply):
    shard_id: int
    guild_id: str
    data: dict[str, Any]
    """``d`` of Discord's answer."""


class WhereReply(Reply):
    guild_id: str
    shard_id: int
    num_shards: int
    host: str
    """Node name of the supervisor that runs the shard."""
    state: str


class LedgerRow(BaseModel):
    """Of one shard: what came in, and what became of it."""

    host: str
    shard_id: int
    session: str | None
    received: int
    published: int
    pending: int
    """Received and not yet confirmed by the broker."""
    replayed: int
    """Of ``received``: those that a RESUME brought."""
    duplicates: int
    """Replayed dispatches that were dropped because they were here already."""
    gaps: int
    """How often something may have been lost; each was told to every group as GATEWAY_GAP."""
    is_balanced: bool
    """Received is the sum of what became of it."""
    received_seq: int | None
    published_seq: int | None


class LedgerReply(Reply):
    rows: list[LedgerRow]

    @property
    def shard_ids_covered(self) -> frozenset[int]:
        return frozenset(row.shard_id for row in self.rows)


class BudgetReply(Reply):
    """The identify budget of the bot as this supervisor knows it."""

    host: str
    total: int
    """IDENTIFYs that Discord allows in a day."""
    remaining: int
    reserve: int
    """IDENTIFYs that are only spent when forced."""
    spent: int
    reset_at: float | None
    """UNIX seconds at which Discord begins to count anew."""
    can_restart_all: bool
    """Whether every shard could IDENTIFY without touching the reserve."""
    breaker: str
    """``open`` while repeated IDENTIFYs are slowed."""
    max_concurrency: int
    waiting: int
    held: int
    """Of ``waiting``: those that wait for the budget or the breaker, not for their turn."""
    next_at: float | None
    granted: int
    forced: int


class ShardFailure(BaseModel):
    """What one shard or host could not do while others could."""

    code: str = Field(examples=["not_ready"])
    message: str
    shard_id: int | None = None
    host: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an operation on one supervisor."""

    result: Reply
    failures: Sequence[ShardFailure] = ()
    """What shards of it could not do while others could."""


ResultT = TypeVar("ResultT", bound=Reply)


class Answer(BaseModel, Generic[ResultT]):
    """The same on every door."""

    operation: str
    host: str = Field(examples=["gateway@bot-1"])
    """Node name of the supervisor that answered."""
    caller: str = Field(examples=["http:127.0.0.1"])
    """Who asked, by which door; the name of a token, never the token."""
    took_ms: float
    result: ResultT
    failures: list[ShardFailure] = []
    """What could not be done, shard by shard."""
