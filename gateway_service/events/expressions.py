"""Emojis, stickers and soundboard sounds. See https://docs.discord.com/developers/resources/emoji."""

from typing import NotRequired, TypedDict

from gateway_service.events.users import Snowflake, User


class PartialEmoji(TypedDict):
    """An emoji as it comes with reactions; ``id`` is None for those of Unicode."""

    id: Snowflake | None
    name: str | None
    animated: NotRequired[bool]


class Emoji(PartialEmoji):
    """An emoji of a guild."""

    roles: NotRequired[list[Snowflake]]
    user: NotRequired[User]
    require_colons: NotRequired[bool]
    managed: NotRequired[bool]
    available: NotRequired[bool]


class StickerItem(TypedDict):
    """A sticker as it comes with messages."""

    id: Snowflake
    name: str
    format_type: int


class Sticker(StickerItem):
    """A sticker of a guild or of Discord."""

    pack_id: NotRequired[Snowflake]
    description: str | None
    tags: str
    type: int
    available: NotRequired[bool]
    guild_id: NotRequired[Snowflake]
    user: NotRequired[User]
    sort_value: NotRequired[int]


class SoundboardSound(TypedDict):
    """A sound. See https://docs.discord.com/developers/resources/soundboard."""

    name: str
    sound_id: Snowflake
    volume: float
    emoji_id: Snowflake | None
    emoji_name: str | None
    guild_id: NotRequired[Snowflake]
    available: bool
    user: NotRequired[User]


class GuildEmojisUpdate(TypedDict):
    """GUILD_EMOJIS_UPDATE: all emojis that the guild has now."""

    guild_id: Snowflake
    emojis: list[Emoji]


class GuildStickersUpdate(TypedDict):
    """GUILD_STICKERS_UPDATE: all stickers that the guild has now."""

    guild_id: Snowflake
    stickers: list[Sticker]


class GuildSoundboardSoundCreate(SoundboardSound):
    """GUILD_SOUNDBOARD_SOUND_CREATE."""


class GuildSoundboardSoundUpdate(SoundboardSound):
    """GUILD_SOUNDBOARD_SOUND_UPDATE."""


class GuildSoundboardSoundDelete(TypedDict):
    """GUILD_SOUNDBOARD_SOUND_DELETE."""

    sound_id: Snowflake
    guild_id: Snowflake


class GuildSoundboardSoundsUpdate(TypedDict):
    """GUILD_SOUNDBOARD_SOUNDS_UPDATE: several sounds changed."""

    soundboard_sounds: list[SoundboardSound]
    guild_id: Snowflake


class SoundboardSounds(TypedDict):
    """SOUNDBOARD_SOUNDS: the answer to opcode 31."""

    soundboard_sounds: list[SoundboardSound]
    guild_id: Snowflake
