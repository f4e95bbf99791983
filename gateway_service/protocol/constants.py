"""Discord's facts, each written once, sorted by value. Units are in the names."""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from typing import Final, Literal

API_VERSION: Final = 10
DISCORD_API_URL: Final = "https://discord.com/api/v10"

Compression = Literal["zstd-stream", "zlib-stream", "none"]
"""Transport compression: the values of the ``compress`` query parameter; ``none`` leaves it out."""

# See Discord: events/gateway#sending-events ("not longer than 4096 bytes").
MAX_PAYLOAD_BYTES: Final = 4096
# See Discord: events/gateway#rate-limiting.
SEND_LIMIT: Final = 120
SEND_WINDOW_S: Final = 60.0
# The numbers of a session follow one another. Discord keeps some thousand dispatches to replay (api-docs#24), so
# a number this far ahead is none that it skipped but a broken one, and taking it would make every later one look old.
MAX_SEQ_JUMP: Final = 10_000
# See Discord: events/gateway-events#update-presence.
PRESENCE_LIMIT: Final = 5
PRESENCE_WINDOW_S: Final = 20.0
# See Discord: events/gateway#identifying.
IDENTIFY_WINDOW_S: Final = 5.0
# Measured from Discord's answer to the previous IDENTIFY. The quarter second is for clocks that do not agree, and for
# an IDENTIFY whose answer nobody heard: then its sending counts.
IDENTIFY_SPACING_S: Final = 5.25
# Spreads the shards of several keys a little further, and hides a clock that is not exactly Discord's.
IDENTIFY_JITTER_S: Final = 0.5
# What every bot may spend in a day before its token is reset; large ones have more. GET /gateway/bot tells.
DAILY_IDENTIFIES: Final = 1000
IDENTIFY_DAY_S: Final = 24 * 60 * 60.0

# How long each step of opening a connection may take (protocol C8). Discord documents none of them.
DIAL_TIMEOUT_S: Final = 20.0  # the transport's own 10 s, after up to 5 s for closing the previous socket
HELLO_TIMEOUT_S: Final = 20.0
READY_TIMEOUT_S: Final = 30.0
RESUME_STALL_S: Final = 60.0  # without any dispatch; a replay as a whole may take much longer

# See Discord: events/gateway-events#identify-identify-structure.
MIN_LARGE_THRESHOLD: Final = 50
MAX_LARGE_THRESHOLD: Final = 250
# See Discord: events/gateway-events#request-guild-members.
MAX_NONCE_BYTES: Final = 32
MAX_MEMBERS_USER_IDS: Final = 100

# The largest integer that AMQP headers and SQLite hold; a session of Discord's has millions of dispatches at most.
MAX_SEQ: Final = 2**63 - 1

# Far above anything Discord sends, and as much as RabbitMQ takes; a stream that inflates to more is broken or
# hostile.
MAX_MESSAGE_BYTES: Final = 128 * 1024 * 1024

# A close code of ours from this range keeps the session resumable; 1000 and 1001 would end it.
# See Discord: events/gateway#disconnecting.
RESUMABLE_CLOSE_CODE: Final = 4000
HANDOVER_CLOSE_CODE: Final = 4900
# Sent by a client, these end its session.
SESSION_ENDING_CLOSE_CODE: Final = 1000
SESSION_ENDING_CLOSE_CODES: Final = frozenset({SESSION_ENDING_CLOSE_CODE, 1001})
# WebSocket libraries refuse to send other codes (protocol §10).
SENDABLE_CLOSE_CODES: Final = frozenset(range(3000, 5000)) | SESSION_ENDING_CLOSE_CODES


class Opcode(IntEnum):
    """Gateway opcodes. See Discord: topics/opcodes-and-status-codes."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE_UPDATE = 3
    VOICE_STATE_UPDATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_GUILD_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11
    REQUEST_SOUNDBOARD_SOUNDS = 31
    REQUEST_CHANNEL_INFO = 43


class CloseCode(IntEnum):
    """Gateway close event codes. See Discord: topics/opcodes-and-status-codes."""

    UNKNOWN_ERROR = 4000
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SESSION = 4006  # retired by Discord, answered by some servers
    INVALID_SEQ = 4007
    RATE_LIMITED = 4008
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    SHARDING_REQUIRED = 4011
    INVALID_API_VERSION = 4012
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014


class Intents(IntFlag):
    """Gateway intents. See Discord: events/gateway#gateway-intents."""

    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_MODERATION = 1 << 2
    GUILD_EXPRESSIONS = 1 << 3
    GUILD_INTEGRATIONS = 1 << 4
    GUILD_WEBHOOKS = 1 << 5
    GUILD_INVITES = 1 << 6
    GUILD_VOICE_STATES = 1 << 7
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15
    GUILD_SCHEDULED_EVENTS = 1 << 16
    AUTO_MODERATION_CONFIGURATION = 1 << 20
    AUTO_MODERATION_EXECUTION = 1 << 21
    GUILD_MESSAGE_POLLS = 1 << 24
    DIRECT_MESSAGE_POLLS = 1 << 25


PRIVILEGED_INTENTS: Final = Intents.GUILD_MEMBERS | Intents.GUILD_PRESENCES | Intents.MESSAGE_CONTENT
ALL_INTENTS: Final = Intents(sum(Intents))
UNPRIVILEGED_INTENTS: Final = ALL_INTENTS & ~PRIVILEGED_INTENTS

FATAL_CLOSE_MEANINGS: Final[Mapping[int, str]] = {
    CloseCode.AUTHENTICATION_FAILED: (
        "the bot token is wrong or was reset; set DISCORD_TOKEN to the token shown under Bot in the developer portal"
    ),
    CloseCode.INVALID_SHARD: (
        "this shard id and count are not valid for the bot; set GATEWAY_SHARD_COUNT to auto, or as Discord asks"
    ),
    CloseCode.SHARDING_REQUIRED: "this shard would hold too many guilds; raise GATEWAY_SHARD_COUNT",
    CloseCode.INVALID_API_VERSION: (
        f"Discord does not serve gateway version {API_VERSION} any more; install a newer gateway-service"
    ),
    CloseCode.INVALID_INTENTS: "the intents have a bit that Discord does not know; correct GATEWAY_INTENTS",
    CloseCode.DISALLOWED_INTENTS: (
        "a privileged intent is not enabled for the bot; enable it under Bot in the developer portal, or leave it "
        "out of GATEWAY_INTENTS"
    ),
}
"""For each close code after which Discord allows no further connection, what is wrong and what helps."""
FATAL_CLOSE_CODES: Final = frozenset(FATAL_CLOSE_MEANINGS)

# After these Discord says to start a new session, so a RESUME would only cost time.
NEW_SESSION_CLOSE_CODES: Final = frozenset(
    {
        CloseCode.NOT_AUTHENTICATED,
        CloseCode.INVALID_SESSION,
        CloseCode.INVALID_SEQ,
        CloseCode.SESSION_TIMED_OUT,
    }
)


# After these Discord expects another RESUME or IDENTIFY, but we did something that a person should look at.
ALARMING_CLOSE_CODES: Final = frozenset(
    {
        CloseCode.UNKNOWN_OPCODE,
        CloseCode.DECODE_ERROR,
        CloseCode.ALREADY_AUTHENTICATED,
        CloseCode.RATE_LIMITED,
    }
)

_FIRST_GATEWAY_CODE: Final = 4000
_KNOWN_CLOSE_CODES: Final = frozenset(CloseCode)


# Discord sends these whatever the intents are, or as an answer to us, or for every guild of a new session: they say
# nothing about whether a session hears what it should.
UNASKED_EVENTS: Final = frozenset(
    {
        "APPLICATION_COMMAND_PERMISSIONS_UPDATE",
        "CHANNEL_INFO",
        "ENTITLEMENT_CREATE",
        "ENTITLEMENT_DELETE",
        "ENTITLEMENT_UPDATE",
        "GUILD_CREATE",
        "GUILD_DELETE",
        "GUILD_MEMBERS_CHUNK",
        "INTERACTION_CREATE",
        "RATE_LIMITED",
        "READY",
        "RESUMED",
        "SOUNDBOARD_SOUNDS",
        "SUBSCRIPTION_CREATE",
        "SUBSCRIPTION_DELETE",
        "SUBSCRIPTION_UPDATE",
        "USER_UPDATE",
        "VOICE_SERVER_UPDATE",
    }
)


def is_suspect(code: int | None) -> bool:
    """Tell whether one RESUME after ``code`` is worth a try, and a second is not.

    True for 4005, after which a resumed connection may meet the same fate, and for codes of the gateway's
    range that Discord has not documented yet.
    """
    if code is None or code < _FIRST_GATEWAY_CODE:
        return False
    return code == CloseCode.ALREADY_AUTHENTICATED or code not in _KNOWN_CLOSE_CODES


def shard_id_of(guild_id: int, num_shards: int) -> int:
    """Return the shard that owns a guild. See Discord: events/gateway#sharding."""
    return (guild_id >> 22) % num_shards
