"""What this host asks of Discord through its shards: each operation as a function of a running supervisor."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway_service.control import arguments as args
from gateway_service.control import replies
from gateway_service.control.local import Host
from gateway_service.errors import PayloadTooLong
from gateway_service.protocol.commands import command
from gateway_service.protocol.constants import Opcode
from gateway_service.refusals import TooLarge

# A payload has at most 4096 bytes; token, properties and the rest of an IDENTIFY have less than a quarter of it.
MAX_PRESENCE_BYTES: Final = 3072


async def update_presence(host: Host, asked: args.UpdatePresence) -> replies.Outcome:
    _check_presence(asked.presence)
    ours = host.shard_ids
    wanted = ours if asked.shard_ids is None else ours & frozenset(asked.shard_ids)
    refusals = await host.service.set_presence(asked.presence, sorted(wanted))
    return replies.Outcome(
        replies.PresenceReply(shard_ids=sorted(wanted - refusals.keys())),
        [replies.ShardFailure.model_validate(refusal.to_json(host.name)) for refusal in refusals.values()],
    )


async def update_voice_state(host: Host, asked: args.UpdateVoiceState) -> replies.SentReply:
    voice = {
        "guild_id": str(asked.guild_id),
        "channel_id": None if asked.channel_id is None else str(asked.channel_id),
        "self_mute": asked.self_mute,
        "self_deaf": asked.self_deaf,
    }
    await host.service.set_voice_state(asked.guild_id, voice)
    return replies.SentReply(shard_id=host.shard_of(asked.guild_id))


async def request_guild_members(host: Host, asked: args.RequestGuildMembers) -> replies.MembersReply:
    data: dict[str, Any] = {"guild_id": str(asked.guild_id), "presences": asked.presences}
    if asked.user_ids is not None:
        data["user_ids"] = [str(user_id) for user_id in asked.user_ids]
    else:
        data["query"], data["limit"] = asked.query or "", asked.limit
    shard_id = host.shard_of(asked.guild_id)
    chunks = await host.service.command(shard_id, Opcode.REQUEST_GUILD_MEMBERS, data, asked.timeout_s)
    return replies.MembersReply(
        shard_id=shard_id,
        guild_id=str(asked.guild_id),
        members=_joined(chunks, "members"),
        presences=_joined(chunks, "presences"),
        not_found=_joined(chunks, "not_found"),
        chunks=len(chunks),
    )


async def request_soundboard_sounds(host: Host, asked: args.RequestSoundboardSounds) -> replies.DiscordReply:
    data = {"guild_ids": [str(asked.guild_id)]}
    return await _ask_discord(host, asked, Opcode.REQUEST_SOUNDBOARD_SOUNDS, data)


async def request_channel_info(host: Host, asked: args.RequestChannelInfo) -> replies.DiscordReply:
    data = {"guild_id": str(asked.guild_id), "fields": list(asked.fields)}
    return await _ask_discord(host, asked, Opcode.REQUEST_CHANNEL_INFO, data)


def _check_presence(presence: Mapping[str, Any] | None) -> None:
    """Refuse what no shard could send: it would be kept, and be missing from each later IDENTIFY.

    Raises:
        TooLarge: An IDENTIFY would have no room for it.
    """
    try:
        size = len(command(Opcode.PRESENCE_UPDATE, presence or {}))
    except PayloadTooLong as exc:
        raise TooLarge(str(exc)) from None
    if size > MAX_PRESENCE_BYTES:
        raise TooLarge(f"the presence has {size} bytes; {MAX_PRESENCE_BYTES} fit into an IDENTIFY")


async def _ask_discord(
    host: Host, asked: args.GatheringArguments, op: Opcode, data: dict[str, Any]
) -> replies.DiscordReply:
    shard_id = host.shard_of(asked.guild_id)
    [answer] = await host.service.command(shard_id, op, data, asked.timeout_s)
    return replies.DiscordReply(shard_id=shard_id, guild_id=str(asked.guild_id), data=answer)


def _joined(chunks: Iterable[dict[str, Any]], key: str) -> list[Any]:
    return [item for chunk in chunks for item in chunk.get(key) or ()]
