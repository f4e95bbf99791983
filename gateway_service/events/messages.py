"""Messages, reactions and polls. See https://docs.discord.com/developers/resources/message."""

from typing import Any, NotRequired, TypedDict

from gateway_service.events.channels import Channel
from gateway_service.events.expressions import PartialEmoji, StickerItem
from gateway_service.events.users import Member, PartialMember, Snowflake, Timestamp, User


class Attachment(TypedDict):
    """A file."""

    id: Snowflake
    filename: str
    size: int
    """Bytes."""
    url: str
    proxy_url: str
    title: NotRequired[str]
    description: NotRequired[str]
    content_type: NotRequired[str]
    height: NotRequired[int | None]
    width: NotRequired[int | None]
    ephemeral: NotRequired[bool]
    duration_secs: NotRequired[float]
    waveform: NotRequired[str]
    flags: NotRequired[int]


class EmbedField(TypedDict):
    """A pair of texts in an embed."""

    name: str
    value: str
    inline: NotRequired[bool]


class Embed(TypedDict, total=False):
    """A card below a message. See https://docs.discord.com/developers/resources/message#embed-object."""

    title: str | None
    type: str
    description: str | None
    url: str | None
    timestamp: Timestamp | None
    color: int | None
    footer: dict[str, Any] | None
    image: dict[str, Any] | None
    thumbnail: dict[str, Any] | None
    video: dict[str, Any] | None
    provider: dict[str, Any] | None
    author: dict[str, Any] | None
    fields: list[EmbedField]


class Reaction(TypedDict):
    """All reactions with one emoji."""

    count: int
    me: bool
    emoji: PartialEmoji
    count_details: NotRequired[dict[str, int]]
    me_burst: NotRequired[bool]
    burst_colors: NotRequired[list[str]]


class MessageReference(TypedDict, total=False):
    """The message that is answered or forwarded."""

    type: int
    message_id: Snowflake
    channel_id: Snowflake
    guild_id: Snowflake
    fail_if_not_exists: bool


class Message(TypedDict):
    """A message. See https://docs.discord.com/developers/resources/message#message-object."""

    id: Snowflake
    channel_id: Snowflake
    author: User
    content: str
    """Empty without the intent MESSAGE_CONTENT, as embeds, attachments and components are."""
    timestamp: Timestamp
    edited_timestamp: Timestamp | None
    tts: bool
    mention_everyone: bool
    mentions: list[User]
    mention_roles: list[Snowflake]
    attachments: list[Attachment]
    embeds: list[Embed]
    pinned: bool
    type: int
    mention_channels: NotRequired[list[dict[str, Any]]]
    reactions: NotRequired[list[Reaction]]
    nonce: NotRequired[str | int | None]
    webhook_id: NotRequired[Snowflake]
    activity: NotRequired[dict[str, Any]]
    application: NotRequired[dict[str, Any]]
    application_id: NotRequired[Snowflake]
    flags: NotRequired[int]
    message_reference: NotRequired[MessageReference]
    message_snapshots: NotRequired[list[dict[str, Any]]]
    referenced_message: NotRequired["Message | None"]
    interaction_metadata: NotRequired[dict[str, Any]]
    thread: NotRequired[Channel]
    components: NotRequired[list[dict[str, Any]]]
    sticker_items: NotRequired[list[StickerItem]]
    position: NotRequired[int]
    role_subscription_data: NotRequired[dict[str, Any]]
    resolved: NotRequired[dict[str, Any]]
    poll: NotRequired[dict[str, Any]]
    call: NotRequired[dict[str, Any]]


class MessageCreate(Message):
    """MESSAGE_CREATE."""

    channel_type: NotRequired[int]
    guild_id: NotRequired[Snowflake]
    """Not there in direct messages, nor in ephemeral ones."""
    member: NotRequired[PartialMember]
    """Not there either when a webhook wrote it."""


class MessageUpdate(MessageCreate):
    """MESSAGE_UPDATE: the whole message as it is now."""


class MessageDelete(TypedDict):
    """MESSAGE_DELETE."""

    id: Snowflake
    channel_id: Snowflake
    guild_id: NotRequired[Snowflake]


class MessageDeleteBulk(TypedDict):
    """MESSAGE_DELETE_BULK."""

    ids: list[Snowflake]
    channel_id: Snowflake
    guild_id: NotRequired[Snowflake]


class MessageReactionRemove(TypedDict):
    """MESSAGE_REACTION_REMOVE."""

    user_id: Snowflake
    channel_id: Snowflake
    message_id: Snowflake
    guild_id: NotRequired[Snowflake]
    emoji: PartialEmoji
    burst: NotRequired[bool]
    type: NotRequired[int]


class MessageReactionAdd(MessageReactionRemove):
    """MESSAGE_REACTION_ADD."""

    member: NotRequired[Member]
    message_author_id: NotRequired[Snowflake]
    burst_colors: NotRequired[list[str]]


class MessageReactionRemoveAll(TypedDict):
    """MESSAGE_REACTION_REMOVE_ALL."""

    channel_id: Snowflake
    message_id: Snowflake
    guild_id: NotRequired[Snowflake]


class MessageReactionRemoveEmoji(MessageReactionRemoveAll):
    """MESSAGE_REACTION_REMOVE_EMOJI."""

    emoji: PartialEmoji


class MessagePollVoteAdd(TypedDict):
    """MESSAGE_POLL_VOTE_ADD. See https://docs.discord.com/developers/resources/poll."""

    user_id: Snowflake
    channel_id: Snowflake
    message_id: Snowflake
    guild_id: NotRequired[Snowflake]
    answer_id: int


class MessagePollVoteRemove(MessagePollVoteAdd):
    """MESSAGE_POLL_VOTE_REMOVE."""
