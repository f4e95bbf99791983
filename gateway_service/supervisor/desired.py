"""What operators want the bot to show and where it shall be: kept in the store, applied after each new IDENTIFY."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from gateway_service.protocol.constants import shard_id_of
from gateway_service.state import State

_PRESENCE: Final = "presence:"
_VOICE: Final = "voice:"

PresenceOf = Callable[[int], Awaitable[dict[str, Any] | None]]


class Desired:
    """Presences by shard and voice channels by guild. A session that resumes keeps both; a new one starts without."""

    def __init__(self, state: State, kept: Mapping[str, str], configured: PresenceOf) -> None:
        """Take over what was kept.

        Args:
            state: Where it is kept.
            kept: What ``state.desired()`` said.
            configured: The presence of a shard for which none is kept.
        """
        self._state = state
        self.configured = configured
        self._presences = _numbered(kept, _PRESENCE)
        self._voice_states = _numbered(kept, _VOICE)
        self._writing = asyncio.Lock()

    async def presence_of(self, shard_id: int) -> dict[str, Any] | None:
        """Return what a shard shall show; None for nothing in particular."""
        if shard_id in self._presences:
            return self._presences[shard_id]
        return await self.configured(shard_id)

    def voice_states(self) -> Mapping[int, dict[str, Any]]:
        """Return ``d`` of op 4 for each guild with a voice channel to be in, or to leave, which has a null for it."""
        return self._voice_states

    def kept_for(self, shard_ids: Iterable[int], num_shards: int) -> dict[str, str]:
        """Return what is kept for these shards, as the store has it."""
        ours = set(shard_ids)
        presences = {f"{_PRESENCE}{shard_id}": data for shard_id, data in self._presences.items() if shard_id in ours}
        voice_states = {
            f"{_VOICE}{guild_id}": data
            for guild_id, data in self._voice_states.items()
            if shard_id_of(guild_id, num_shards) in ours
        }
        return {name: orjson.dumps(data).decode() for name, data in (presences | voice_states).items()}

    def is_kept_for(self, shard_id: int, num_shards: int) -> bool:
        """Tell whether an operator's wish for a shard is kept."""
        return shard_id in self._presences or any(
            shard_id_of(guild_id, num_shards) == shard_id for guild_id in self._voice_states
        )

    async def set_presence(self, presence: Mapping[str, Any] | None, shard_ids: Sequence[int]) -> None:
        """Keep ``presence`` for these shards; None forgets what is kept.

        Raises:
            StateUnavailable: It cannot be kept.
        """
        text = None if presence is None else orjson.dumps(dict(presence)).decode()
        await asyncio.to_thread(self._state.desire, {f"{_PRESENCE}{shard_id}": text for shard_id in shard_ids})
        for shard_id in shard_ids:
            if presence is None:
                self._presences.pop(shard_id, None)
            else:
                self._presences[shard_id] = dict(presence)

    async def set_voice_state(self, guild_id: int, voice: Mapping[str, Any]) -> None:
        """Keep the voice channel of a guild; that it has to be left, too, until :meth:`forget_left`.

        Raises:
            StateUnavailable: It cannot be kept.
        """
        async with self._writing:
            await asyncio.to_thread(self._state.desire, {f"{_VOICE}{guild_id}": orjson.dumps(dict(voice)).decode()})
            self._voice_states[guild_id] = dict(voice)

    async def forget_left(self, guild_ids: Iterable[int]) -> None:
        """Forget that channels have to be left: Discord was told, or a new session is in none. Others stay.

        Raises:
            StateUnavailable: It stays where it is kept, and may be told once more.
        """
        async with self._writing:
            left = [guild_id for guild_id in guild_ids if is_leave(self._voice_states.get(guild_id))]
            if left:
                await asyncio.to_thread(self._state.desire, {f"{_VOICE}{guild_id}": None for guild_id in left})
            for guild_id in left:
                del self._voice_states[guild_id]


def is_leave(voice: Mapping[str, Any] | None) -> bool:
    """Tell whether ``d`` of op 4 leaves a voice channel."""
    return voice is not None and voice.get("channel_id") is None


def _numbered(kept: Mapping[str, str], prefix: str) -> dict[int, dict[str, Any]]:
    return {
        int(name.removeprefix(prefix)): orjson.loads(text) for name, text in kept.items() if name.startswith(prefix)
    }
