"""Dispatches as Discord might send them, made from those of the simulator."""

import json
import random
import time
from itertools import count
from typing import Any, Final

from gateway_service.contract import Dispatch, GuildKind
from gateway_service.simulator.guilds import World
from gateway_service.simulator.intents import guild_of
from gateway_service.simulator.payloads import GENERATED_EVENTS, Templates

_WORLD: Final = World(bot_id=100_000 << 22, guilds=1, members_per_guild=20)
_TEMPLATES: Final = Templates(_WORLD, seed=0, message_bytes=400)
_DISCORD_EPOCH_MS: Final = 1_420_070_400_000
_GUILD_CREATE: Final = "GUILD_CREATE"
_SESSION: Final = "0123456789abcdef"

_numbers: Final = count(1)


def dispatch_fixture(event: str, /, *, kind: GuildKind | None = None, **fields: Any) -> tuple[Any, Dispatch]:
    """Return the payload of a dispatch and what a handler gets beside it.

    Each call makes another dispatch, with an id of this moment.

    Example:
        ``message, dispatch = dispatch_fixture("MESSAGE_CREATE", content="!ping")``

    Args:
        event: Dispatch name.
        kind: Why a GUILD_CREATE arrived; ``"join"`` when nothing is said.
        **fields: What the payload shall say instead; ``guild_id=None`` makes a direct message.

    Raises:
        ValueError: No payload of this event is known.
    """
    number = next(_numbers)
    guild_id = _WORLD.guild_ids[0] if fields.get("guild_id", ...) is not None else None
    if event == _GUILD_CREATE:
        payload = _WORLD.guild_create(_WORLD.guild_ids[0], intents=-1, large_threshold=50)
        kind = kind or "join"
    elif event in GENERATED_EVENTS:
        snowflake = (int(time.time() * 1000) - _DISCORD_EPOCH_MS) << 22 | number
        template, _ = _TEMPLATES.get(event, guild_id, random.randrange(1000))  # noqa: S311 - any content will do
        payload = json.loads(template.text(snowflake))
    else:
        known = ", ".join(sorted({*GENERATED_EVENTS, _GUILD_CREATE}))
        raise ValueError(f"no payload of {event} is known; known are {known}")
    payload = {**payload, **{name: value for name, value in fields.items() if name != "guild_id" or value is not None}}
    dispatch = Dispatch(
        event=event,
        bot_id=str(_WORLD.bot_id),
        shard=(0, 1),
        seq=number,
        session=_SESSION,
        guild_id=guild_of(event, payload),
        received_at=time.time(),
        kind=kind,
    )
    return payload, dispatch
