"""What all connections share: the world, the sessions, the limits of the bot, the armed faults."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway_service.simulator.config import SimulatorConfig
from gateway_service.simulator.guilds import World
from gateway_service.simulator.intents import guild_of
from gateway_service.simulator.limits import AllMembersLimit, IdentifyBudget, IdentifyPacing
from gateway_service.simulator.payloads import CONTENT_EVENTS, Templates, without_content
from gateway_service.simulator.plan import FaultPlan
from gateway_service.simulator.registry import SessionRegistry
from gateway_service.simulator.transcript import Transcript

# See Discord: reference#snowflakes.
_DISCORD_EPOCH_MS: Final = 1_420_070_400_000
_SNOWFLAKE_TIME_BITS: Final = 22


@dataclass(slots=True)
class Hub:
    """One simulated Discord without its sockets."""

    config: SimulatorConfig
    clock: Callable[[], float]
    world: World = field(init=False)
    sessions: SessionRegistry = field(init=False)
    transcript: Transcript = field(init=False)
    templates: Templates = field(init=False)
    faults: FaultPlan = field(init=False, default_factory=FaultPlan)
    pacing: IdentifyPacing = field(init=False)
    budget: IdentifyBudget = field(init=False)
    all_members: AllMembersLimit = field(init=False, default_factory=AllMembersLimit)
    token: str = field(init=False, repr=False)
    """The bot's; empty when it was reset and its owner has not asked for a new one."""
    presences: dict[int, dict[str, Any]] = field(init=False, default_factory=dict)
    """Last presence that each shard has set."""
    voice_channels: dict[int, int] = field(init=False, default_factory=dict)
    """Voice channel the bot is in, by guild."""
    recommended_shards: int = field(init=False)
    resume_url: str = field(init=False, default="")
    """Known once the gateway listens."""
    _last_id: int = field(init=False, default=0)
    _generated: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        config = self.config
        self.token = config.token
        self.recommended_shards = config.shards
        self.world = World(bot_id=config.bot_id, guilds=config.guilds, members_per_guild=config.members_per_guild)
        self.sessions = SessionRegistry(config)
        self.transcript = Transcript(config.transcript_limit)
        self.templates = Templates(self.world, seed=config.seed, message_bytes=config.message_bytes)
        self.pacing = IdentifyPacing(config.max_concurrency, config.identify_window_s)
        remaining = config.identify_limit if config.identify_remaining is None else config.identify_remaining
        self.budget = IdentifyBudget(config.identify_limit, remaining)

    def accepts(self, token: str) -> bool:
        """Tell whether a token, with or without ``Bot``, is the bot's."""
        return bool(self.token) and token.removeprefix("Bot ") == self.token

    def next_id(self) -> int:
        """Return a fresh snowflake of this moment: its time tells handlers how old an interaction is."""
        since_epoch_ms = int(time.time() * 1000) - _DISCORD_EPOCH_MS
        self._last_id = max(self._last_id + 1, since_epoch_ms << _SNOWFLAKE_TIME_BITS)
        return self._last_id

    def dispatch(self, event: str, data: Any, guild_id: int | None = None) -> int:
        """Dispatch a decoded ``d`` and return how many sessions it went to."""
        target = guild_of(event, data) if guild_id is None else guild_id
        stripped = None
        if event in CONTENT_EVENTS and isinstance(data, dict) and target is not None and self._hides_content(data):
            stripped = orjson.dumps(without_content(data))
        return self.sessions.dispatch(event, orjson.dumps(data), target, self.clock(), stripped=stripped)

    def reset_token(self, new_token: str = "") -> None:
        """End every session and accept the token no more, as Discord does when the daily budget is overrun."""
        self.token = new_token
        for session in self.sessions:
            self.sessions.end(session)

    def generate(self, event: str, guild_id: int | None) -> int:
        """Dispatch generated content and return how many sessions it went to.

        Raises:
            KeyError: This event is not generated.
        """
        unique_id = self.next_id()
        # Traffic takes the guilds in turn; the next text of a guild comes with its next turn.
        self._generated += 1
        full, bare = self.templates.get(event, guild_id, self._generated // max(1, self.config.guilds))
        # Direct messages carry their content whatever the intents are. See Discord: message content intent.
        differs = bare is not full and guild_id is not None and self.config.strip_content
        stripped = bare.text(unique_id) if differs else None
        return self.sessions.dispatch(event, full.text(unique_id), guild_id, self.clock(), stripped=stripped)

    def _hides_content(self, message: dict[str, Any]) -> bool:
        # The bot's own messages and those that mention it keep their content. See Discord: message content intent.
        users = [message.get("author"), *(message.get("mentions") or ())]
        about_bot = any(isinstance(user, dict) and user.get("id") == str(self.config.bot_id) for user in users)
        return self.config.strip_content and not about_bot
