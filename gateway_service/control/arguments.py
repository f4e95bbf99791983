"""The arguments of operations: one model each, checked the same way on every door."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway_service.protocol.constants import MAX_MEMBERS_USER_IDS
from gateway_service.settings.values import parse_presence

MAX_WAIT_S = 120.0
"""No caller waits longer for one operation; what takes longer is begun and asked about."""

ShardId = Annotated[int, Field(ge=0, le=100_000, examples=[3])]
Snowflake = Annotated[int, Field(ge=0, lt=2**63, examples=["81384788765712384"])]
"""An id of Discord's; written as text in JSON, because many readers of JSON round large numbers."""
GatewayNode = Annotated[str, Field(pattern=r"^gateway@[^,\s]+$", max_length=255)]
"""Node name of a supervisor: ``gateway@HOST``. A short one, as tables show it, would only fail when its turn comes."""
WaitS = Annotated[float, Field(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)]


class Arguments(BaseModel):
    """What an operation takes; nothing by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ShardArguments(Arguments):
    shard_id: ShardId


class RestartShard(ShardArguments):
    mode: Literal["resume", "identify"] = "resume"
    """``resume`` keeps the session; ``identify`` ends it and spends one IDENTIFY of the budget."""
    wait_s: WaitS = 0.0
    """How long to wait until the shard is live again; 0 returns at once."""


class RestartProcess(ShardArguments):
    """The process that runs ``shard_id`` drains and starts again; its shards RESUME."""

    wait_s: WaitS = 0.0


class RollingRestart(Arguments):
    max_resume_s: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 60.0
    """How long the shards of one process may take to RESUME before the roll halts."""
    then: Annotated[list[GatewayNode], Field(max_length=1000, examples=[["gateway@bot-2"]])] = []
    """Hosts that roll after this one, each when the one before is done; one that halts ends it for those after it."""


def _presence(value: dict[str, Any] | None) -> dict[str, Any] | None:
    parse_presence(value)
    return value


Presence = Annotated[
    dict[str, Any],
    AfterValidator(_presence),
    Field(examples=[{"status": "dnd", "activities": [{"name": "maintenance", "type": 0}]}]),
]


class UpdatePresence(Arguments):
    presence: Presence | None = None
    """Discord's presence object; null goes back to the configured one."""
    shard_ids: Annotated[list[ShardId], Field(min_length=1, max_length=10_000)] | None = None
    """Null means every shard."""


class GuildArguments(Arguments):
    guild_id: Snowflake


class UpdateVoiceState(GuildArguments):
    channel_id: Snowflake | None = None
    """Null leaves the voice channel."""
    self_mute: bool = False
    self_deaf: bool = False


class GatheringArguments(GuildArguments):
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S, allow_inf_nan=False)] = 10.0
    """How long to wait for all of Discord's answer."""


class RequestGuildMembers(GatheringArguments):
    """Either ``query`` with ``limit``, or ``user_ids``; neither asks for every member."""

    query: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=0, le=100)] = 0
    user_ids: Annotated[list[Snowflake], Field(min_length=1, max_length=MAX_MEMBERS_USER_IDS)] | None = None
    presences: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> "RequestGuildMembers":
        if self.query is not None and self.user_ids is not None:
            raise ValueError("takes either query or user_ids, not both")
        if self.query and not self.limit:
            raise ValueError("a query that is not empty needs a limit of 1 to 100")
        return self


class RequestSoundboardSounds(GatheringArguments):
    pass


class RequestChannelInfo(GatheringArguments):
    fields: Annotated[list[Literal["status", "voice_start_time"]], Field(min_length=1)] = ["status", "voice_start_time"]
