"""The ``d`` of generated dispatches: what a busy guild sends, with models as complete as strict libraries want."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from gateway_service.simulator.guilds import Json, World

_PROSE: Final = """
    hello there who wants to play tonight ready ping the build is green again łódź żółw naïve café привет мир
    こんにちは 你好 😀 🎉 review my patch please deploy on friday never mind it works
"""
_WORDS: Final = tuple(_PROSE.split())
_EPOCH: Final = "2026-01-01T00:00:00.000000+00:00"
_DISTINCT_TEXTS: Final = 1024
# Stands for the id that makes each dispatch unique; replaced in the finished text.
_UNIQUE: Final = "\u0001unique\u0001"
_UNIQUE_TEXT: Final = orjson.dumps(_UNIQUE)[1:-1]


@dataclass(frozen=True, slots=True)
class Template:
    """The text of a ``d`` with places for a fresh id."""

    parts: tuple[bytes, ...]

    def text(self, unique_id: int) -> bytes:
        return str(unique_id).encode().join(self.parts)


@dataclass(frozen=True, slots=True)
class Builder:
    """Where a generated dispatch gets its content from."""

    world: World
    guild_id: int | None
    rng: random.Random
    message_bytes: int

    def scope(self) -> Json:
        """Return the channel, and the guild where there is one."""
        if self.guild_id is None:
            return {"channel_id": str(self.world.member_id(1) + 1)}
        return {
            "channel_id": str(self.world.text_channel_id(self.guild_id)),
            "guild_id": str(self.guild_id),
        }

    def someone(self) -> int:
        """Return the number of a member who is not the bot."""
        return self.rng.randint(1, max(1, self.world.members_per_guild))

    def someone_here(self) -> Json:
        """Return ``user_id``, and ``member`` where there is a guild."""
        index = self.someone()
        here: Json = {"user_id": str(self.world.member_id(index))}
        return here if self.guild_id is None else here | {"member": self.world.member(index)}

    def words(self, size_bytes: int) -> str:
        """Return text of about ``size_bytes`` bytes of UTF-8."""
        chosen: list[str] = []
        while size_bytes > 0:
            chosen.append(self.rng.choice(_WORDS))
            size_bytes -= len(chosen[-1].encode()) + 1
        return " ".join(chosen) or "ping"

    def message_create(self) -> Json:
        index = self.someone()
        message: Json = {
            "id": _UNIQUE,
            **self.scope(),
            "type": 0,
            "content": "",
            "timestamp": _EPOCH,
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": 0,
            "nonce": None,
            "channel_type": 1 if self.guild_id is None else 0,
            "author": self.world.user(index),
        }
        if self.guild_id is not None:
            message["member"] = self.world.member(index, with_user=False)
        return message | {"content": self.words(self.message_bytes - len(orjson.dumps(message)))}

    def message_update(self) -> Json:
        return self.message_create() | {"edited_timestamp": _EPOCH}

    def message_delete(self) -> Json:
        return {"id": _UNIQUE, **self.scope()}

    def message_reaction_add(self) -> Json:
        return {
            **self.someone_here(),
            **self.scope(),
            "message_id": _UNIQUE,
            "message_author_id": str(self.world.member_id(1)),
            "emoji": {"id": None, "name": "👍"},
            "burst": False,
            "type": 0,
        }

    def typing_start(self) -> Json:
        return {**self.someone_here(), **self.scope(), "timestamp": 1_767_225_600}

    def presence_update(self) -> Json:
        return self.world.presence(self.guild_id or 0, self.someone())

    def voice_state_update(self) -> Json:
        guild_id = self.guild_id or 0
        return {
            **self.someone_here(),
            "guild_id": str(guild_id),
            "channel_id": str(self.world.voice_channel_id(guild_id)),
            "session_id": f"voice-{_UNIQUE}",
            "deaf": False,
            "mute": False,
            "self_deaf": False,
            "self_mute": False,
            "self_video": False,
            "suppress": False,
            "request_to_speak_timestamp": None,
        }

    def guild_member_add(self) -> Json:
        user = self.world.user(self.someone()) | {"id": _UNIQUE}
        return self.world.member(1) | {"user": user, "guild_id": str(self.guild_id or 0)}

    def guild_member_update(self) -> Json:
        return self.world.member(self.someone()) | {"guild_id": str(self.guild_id or 0), "nick": "nick"}

    def guild_member_remove(self) -> Json:
        return {"user": self.world.user(self.someone()), "guild_id": str(self.guild_id or 0)}

    def interaction_create(self) -> Json:
        index = self.someone()
        interaction: Json = {
            "id": _UNIQUE,
            "application_id": str(self.world.bot_id),
            "type": 2,
            "token": f"interaction-{_UNIQUE}",
            "version": 1,
            "data": {"id": str(self.world.bot_id + 1), "name": "ping", "type": 1},
            **self.scope(),
            "locale": "en-US",
            "app_permissions": "0",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(self.guild_id or 0)},
            "context": 1 if self.guild_id is None else 0,
            "attachment_size_limit": 10_485_760,
        }
        channel_id = int(interaction["channel_id"])
        interaction["channel"] = self.world.channel(channel_id, guild_id=self.guild_id) | {"permissions": "0"}
        if self.guild_id is None:
            return interaction | {"user": self.world.user(index)}
        return interaction | {
            "member": self.world.member(index) | {"permissions": "0"},
            "guild_locale": "en-US",
            "guild": {"id": str(self.guild_id), "features": [], "locale": "en-US"},
        }


_BUILDERS: Final[Mapping[str, Callable[[Builder], Json]]] = {
    "MESSAGE_CREATE": Builder.message_create,
    "MESSAGE_UPDATE": Builder.message_update,
    "MESSAGE_DELETE": Builder.message_delete,
    "MESSAGE_REACTION_ADD": Builder.message_reaction_add,
    "TYPING_START": Builder.typing_start,
    "PRESENCE_UPDATE": Builder.presence_update,
    "VOICE_STATE_UPDATE": Builder.voice_state_update,
    "GUILD_MEMBER_ADD": Builder.guild_member_add,
    "GUILD_MEMBER_UPDATE": Builder.guild_member_update,
    "GUILD_MEMBER_REMOVE": Builder.guild_member_remove,
    "INTERACTION_CREATE": Builder.interaction_create,
}
GENERATED_EVENTS: Final = frozenset(_BUILDERS)

# What MESSAGE_CONTENT guards. See Discord: events/gateway#message-content-intent.
_CONTENT: Final[Json] = {"content": "", "embeds": [], "attachments": [], "components": []}
CONTENT_EVENTS: Final = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"})


def without_content(data: Json) -> Json:
    """Return a message as sessions without MESSAGE_CONTENT see it."""
    return data | {key: empty for key, empty in _CONTENT.items() if key in data}


class Templates:
    """Finished texts per event and guild, so that high rates only splice a number.

    Texts repeat after about a thousand, farther back than a compressor remembers: otherwise a repeated message
    would shrink to a few bytes and flatter everything that inflates it.
    """

    def __init__(self, world: World, *, seed: int, message_bytes: int) -> None:
        self._world = world
        self._seed = seed
        self._message_bytes = message_bytes
        self._variants = -(-_DISTINCT_TEXTS // max(1, world.guilds))
        # Bounded: a miss costs 50 microseconds, an entry about 2 kB.
        self._cached = lru_cache(maxsize=8 * _DISTINCT_TEXTS)(self._build)

    def get(self, event: str, guild_id: int | None, number: int) -> tuple[Template, Template]:
        """Return the full template and the one for sessions without MESSAGE_CONTENT.

        Args:
            event: One of :data:`GENERATED_EVENTS`.
            guild_id: None for a direct message.
            number: Chooses among several contents.

        Raises:
            KeyError: No such event is generated.
        """
        return self._cached(event, guild_id, number % self._variants)

    def _build(self, event: str, guild_id: int | None, variant: int) -> tuple[Template, Template]:
        build = _BUILDERS[event]
        rng = random.Random(f"{self._seed}/{event}/{guild_id}/{variant}")
        data = build(Builder(self._world, guild_id, rng, self._message_bytes))
        full = _template(data)
        return full, _template(without_content(data)) if event in CONTENT_EVENTS else full


def _template(data: Json) -> Template:
    return Template(tuple(orjson.dumps(data).split(_UNIQUE_TEXT)))
