"""Voice. See https://docs.discord.com/developers/resources/voice."""

from typing import NotRequired, TypedDict

from gateway_service.events.expressions import PartialEmoji
from gateway_service.events.users import Member, Snowflake, Timestamp


class VoiceState(TypedDict):
    """Where a user is connected; ``channel_id`` is None after leaving."""

    guild_id: NotRequired[Snowflake]
    channel_id: Snowflake | None
    user_id: Snowflake
    member: NotRequired[Member]
    session_id: str
    deaf: bool
    mute: bool
    self_deaf: bool
    self_mute: bool
    self_stream: NotRequired[bool]
    self_video: bool
    suppress: bool
    request_to_speak_timestamp: Timestamp | None


class VoiceStateUpdate(VoiceState):
    """VOICE_STATE_UPDATE."""


class VoiceServerUpdate(TypedDict):
    """VOICE_SERVER_UPDATE; without an endpoint, disconnect and wait for another."""

    token: str
    guild_id: Snowflake
    endpoint: str | None


class VoiceChannelEffectSend(TypedDict):
    """VOICE_CHANNEL_EFFECT_SEND: an emoji reaction or a sound in a voice channel."""

    channel_id: Snowflake
    guild_id: Snowflake
    user_id: Snowflake
    emoji: NotRequired[PartialEmoji | None]
    animation_type: NotRequired[int | None]
    animation_id: NotRequired[int]
    sound_id: NotRequired[Snowflake | int]
    sound_volume: NotRequired[float]


class VoiceChannelStatusUpdate(TypedDict):
    """VOICE_CHANNEL_STATUS_UPDATE."""

    id: Snowflake
    """The channel."""
    guild_id: Snowflake
    status: str | None


class VoiceChannelStartTimeUpdate(TypedDict):
    """VOICE_CHANNEL_START_TIME_UPDATE."""

    id: Snowflake
    """The channel."""
    guild_id: Snowflake
    voice_start_time: int | None
