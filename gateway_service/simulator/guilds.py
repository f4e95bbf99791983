"""The virtual world: guilds, channels, roles and members computed from their numbers, never stored.

Ids are laid out so that each leads back to its guild: a guild's id has zeros in its low 22 bits, its channels
and roles are ``guild_id + n``, and consecutive guilds differ by one in ``id >> 22``, which spreads them evenly
over any number of shards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway_service.protocol.constants import Intents

_FIRST_GUILD: Final = 1_000_000 << 22
_FIRST_MEMBER: Final = 500_000 << 22
_LOW_BITS: Final = (1 << 22) - 1
_TEXT_CHANNEL: Final = 1
_VOICE_CHANNEL: Final = 2
_MODERATOR_ROLE: Final = 101
_CHUNK_SIZE: Final = 1000  # See Discord: events/gateway-events#guild-members-chunk
_QUERY_LIMIT: Final = 100
_JOINED_AT: Final = "2024-03-01T12:00:00.000000+00:00"
_NAMES: Final = ("ada", "grace", "алан", "edsger", "バーバラ", "donald", "frančeska", "linus", "márta", "ken")
# VIEW_CHANNEL, SEND_MESSAGES, EMBED_LINKS, READ_MESSAGE_HISTORY, CONNECT, SPEAK
_PERMISSIONS: Final = str(1 << 10 | 1 << 11 | 1 << 14 | 1 << 16 | 1 << 20 | 1 << 21)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All guilds of one bot, and the JSON objects in which Discord speaks of them."""

    bot_id: int
    guilds: int
    members_per_guild: int

    @property
    def guild_ids(self) -> Sequence[int]:
        return range(_FIRST_GUILD, _FIRST_GUILD + (self.guilds << 22), 1 << 22)

    def guild_of_channel(self, channel_id: int) -> int | None:
        """Return the guild of a channel, or None when the channel is a direct one."""
        guild_id = channel_id & ~_LOW_BITS
        return guild_id if guild_id in self.guild_ids and guild_id != channel_id else None

    def text_channel_id(self, guild_id: int) -> int:
        return guild_id + _TEXT_CHANNEL

    def voice_channel_id(self, guild_id: int) -> int:
        return guild_id + _VOICE_CHANNEL

    def member_id(self, index: int) -> int:
        """Return the user id of member ``index``; number 0 is the bot. Users are in every guild."""
        return self.bot_id if index == 0 else _FIRST_MEMBER + (index << 22)

    def index_of_member(self, user_id: int) -> int | None:
        """Return the number of a member, or None for a user who is in no guild."""
        if user_id == self.bot_id:
            return 0
        index, rest = divmod(user_id - _FIRST_MEMBER, 1 << 22)
        return index if rest == 0 and 1 <= index <= self.members_per_guild else None

    @property
    def member_count(self) -> int:
        return self.members_per_guild + 1

    def user(self, index: int) -> Json:
        name = "simulated-bot" if index == 0 else f"{_NAMES[index % len(_NAMES)]}-{index}"
        return {
            "id": str(self.member_id(index)),
            "username": name,
            "discriminator": "0",
            "global_name": name.title(),
            "avatar": None,
            "avatar_decoration_data": None,
            "banner": None,
            "accent_color": None,
            "bot": index == 0,
            "system": False,
            "public_flags": 0,
            "flags": 0,
        }

    def bot_user(self) -> Json:
        return self.user(0) | {"mfa_enabled": True, "verified": True, "email": None, "bio": "", "locale": "en-US"}

    def member(self, index: int, *, with_user: bool = True) -> Json:
        member: Json = {
            "nick": None,
            "avatar": None,
            "banner": None,
            "roles": [],
            "joined_at": _JOINED_AT,
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "pending": False,
            "communication_disabled_until": None,
        }
        return {"user": self.user(index)} | member if with_user else member

    def presence(self, guild_id: int, index: int) -> Json:
        return {
            "user": {"id": str(self.member_id(index))},
            "guild_id": str(guild_id),
            "status": "online",
            "activities": [],
            "client_status": {"desktop": "online"},
        }

    def role(self, guild_id: int, offset: int) -> Json:
        everyone = offset == 0
        return {
            "id": str(guild_id + offset),
            "name": "@everyone" if everyone else "moderators",
            "description": None,
            "color": 0 if everyone else 0x3498DB,
            "colors": {"primary_color": 0 if everyone else 0x3498DB, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "icon": None,
            "unicode_emoji": None,
            "position": 0 if everyone else 1,
            "permissions": _PERMISSIONS,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }

    def channel(self, channel_id: int, *, guild_id: int | None) -> Json:
        voice = guild_id is not None and channel_id == self.voice_channel_id(guild_id)
        channel: Json = {
            "id": str(channel_id),
            "type": 2 if voice else 0,
            "name": "voice" if voice else "general",
            "position": 1 if voice else 0,
            "parent_id": None,
            "topic": None,
            "nsfw": False,
            "flags": 0,
            "last_message_id": None,
            "rate_limit_per_user": 0,
            "permission_overwrites": [],
        }
        if guild_id is None:
            return {"id": str(channel_id), "type": 1, "last_message_id": None, "recipients": [self.user(1)], "flags": 0}
        return channel | ({"bitrate": 64000, "user_limit": 0, "rtc_region": None} if voice else {})

    def guild(self, guild_id: int) -> Json:
        """Return a guild as REST has it and as GUILD_CREATE begins."""
        number = (guild_id - _FIRST_GUILD) >> 22
        return {
            "id": str(guild_id),
            "name": f"Guild {number} — gildia №{number}",
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "banner": None,
            "description": None,
            "owner_id": str(self.member_id(min(1, self.members_per_guild))),
            "application_id": None,
            "region": "rotterdam",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "system_channel_id": str(self.text_channel_id(guild_id)),
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "safety_alerts_channel_id": None,
            "widget_enabled": False,
            "widget_channel_id": None,
            "verification_level": 1,
            "default_message_notifications": 1,
            "explicit_content_filter": 2,
            "mfa_level": 0,
            "nsfw_level": 0,
            "nsfw": False,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": False,
            "preferred_locale": "en-US",
            "vanity_url_code": None,
            "max_members": 500_000,
            "max_presences": None,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "features": ["COMMUNITY", "NEWS"],
            "roles": [self.role(guild_id, 0), self.role(guild_id, _MODERATOR_ROLE)],
            "emojis": [],
            "stickers": [],
            "hub_type": None,
            "latest_onboarding_question_id": None,
            "incidents_data": None,
        }

    def guild_create(self, guild_id: int, *, intents: int, large_threshold: int) -> Json:
        """Return the ``d`` of a GUILD_CREATE.

        Without GUILD_PRESENCES the members are only the bot; above ``large_threshold`` they are only the online
        ones, who are the first ``large_threshold`` here.
        """
        listed = min(self.member_count, large_threshold) if intents & Intents.GUILD_PRESENCES else 1
        return self.guild(guild_id) | {
            "joined_at": _JOINED_AT,
            "large": self.member_count > large_threshold,
            "member_count": self.member_count,
            "members": [self.member(index) for index in range(listed)],
            "presences": [self.presence(guild_id, index) for index in range(1, listed)],
            "channels": [
                self.channel(self.text_channel_id(guild_id), guild_id=guild_id),
                self.channel(self.voice_channel_id(guild_id), guild_id=guild_id),
            ],
            "threads": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def member_chunks(self, guild_id: int, request: Mapping[str, Any], *, presences: bool) -> Iterable[Json]:
        """Yield the ``d`` of each GUILD_MEMBERS_CHUNK that answers a valid op 8 for this guild."""
        not_found: list[str] = []
        indexes: Sequence[int]
        if "user_ids" in request:
            wanted = request["user_ids"] if isinstance(request["user_ids"], list) else [request["user_ids"]]
            found = {user_id: self.index_of_member(int(user_id)) for user_id in wanted[:_QUERY_LIMIT]}
            indexes = [index for index in found.values() if index is not None]
            not_found = [str(user_id) for user_id, index in found.items() if index is None]
        elif request.get("query"):
            matching = (i for i in range(self.member_count) if self.user(i)["username"].startswith(request["query"]))
            indexes = [index for index, _ in zip(matching, range(request["limit"] or _QUERY_LIMIT), strict=False)]
        else:
            indexes = range(min(self.member_count, request["limit"] or self.member_count))
        count = max(1, -(-len(indexes) // _CHUNK_SIZE))
        for number in range(count):
            part = indexes[number * _CHUNK_SIZE : (number + 1) * _CHUNK_SIZE]
            chunk: Json = {
                "guild_id": str(guild_id),
                "members": [self.member(index) for index in part],
                "chunk_index": number,
                "chunk_count": count,
                "not_found": not_found,
            }
            if presences:
                chunk["presences"] = [self.presence(guild_id, index) for index in part if index]
            yield chunk
