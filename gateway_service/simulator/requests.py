"""What Discord dispatches because the client asked: READY and the guild stream, members, voice, sounds."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import orjson

from gateway_service.protocol.constants import API_VERSION, MAX_NONCE_BYTES, Intents, Opcode, shard_id_of
from gateway_service.simulator.faults import CutChunks, Fault, LimitRequest, PadGuilds, WithholdGuilds
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.inbound import Identify
from gateway_service.simulator.intents import is_wanted
from gateway_service.simulator.sessions import Session

# What a voice channel has to tell. See Discord: events/gateway-events#request-channel-info.
_CHANNEL_INFO: Final[Mapping[str, Any]] = {"status": "simulated", "voice_start_time": None}


class Requests:
    """Serves the commands of one connection by appending to its session."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def greet(self, session: Session, identify: Identify, now: float, fault: Fault | None = None) -> None:
        """Append READY and one GUILD_CREATE per guild of the shard, or what ``fault`` makes of them."""
        world = self._hub.world
        guild_ids = [g for g in world.guild_ids if shard_id_of(g, session.num_shards) == session.shard_id]
        ready: dict[str, Any] = {
            "v": API_VERSION,
            "user_settings": {},
            "user": world.bot_user(),
            "session_type": "normal",
            "session_id": session.session_id,
            "resume_gateway_url": self._hub.resume_url,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": [{"id": str(guild_id), "unavailable": True} for guild_id in guild_ids],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": ["rotterdam"],
            "auth": {},
            "application": {"id": str(world.bot_id), "flags": 0, "flags_new": "0"},
            "_trace": ["simulator"],
        }
        if identify.names_shard:
            ready["shard"] = [session.shard_id, session.num_shards]
        session.append("READY", orjson.dumps(ready), now)
        if isinstance(fault, WithholdGuilds) or not is_wanted("GUILD_CREATE", session.intents, in_guild=True):
            return
        for guild_id in guild_ids:
            guild = world.guild_create(guild_id, intents=session.intents, large_threshold=identify.large_threshold)
            if isinstance(fault, PadGuilds):
                guild |= {"description": "x" * fault.size_bytes}
            session.append("GUILD_CREATE", orjson.dumps(guild), now)

    def serve(self, op: Opcode, data: Any, session: Session, now: float, fault: Fault | None = None) -> bool:
        """Obey one command, or do what ``fault`` wants instead; False when its ``d`` is malformed."""
        if not isinstance(data, Mapping):
            return False
        try:
            match op:
                case Opcode.PRESENCE_UPDATE:
                    return self._set_presence(data, session)
                case Opcode.VOICE_STATE_UPDATE:
                    return self._move_voice(data, session, now)
                case Opcode.REQUEST_GUILD_MEMBERS:
                    return self._send_members(data, session, now, fault)
                case Opcode.REQUEST_SOUNDBOARD_SOUNDS:
                    for guild_id in data["guild_ids"]:
                        answer: dict[str, Any] = {"guild_id": str(int(guild_id)), "soundboard_sounds": []}
                        session.append("SOUNDBOARD_SOUNDS", orjson.dumps(answer), now)
                    return True
                case _:
                    return self._send_channel_info(data, session, now)
        except (KeyError, TypeError, ValueError):
            return False

    def _set_presence(self, data: Mapping[str, Any], session: Session) -> bool:
        if data.get("status") not in ("online", "dnd", "idle", "invisible", "offline"):
            return False
        self._hub.presences[session.shard_id] = dict(data)
        return True

    def _move_voice(self, data: Mapping[str, Any], session: Session, now: float) -> bool:
        guild_id, world = int(data["guild_id"]), self._hub.world
        channel_id = None if data["channel_id"] is None else int(data["channel_id"])
        if channel_id is None:
            self._hub.voice_channels.pop(guild_id, None)
        else:
            self._hub.voice_channels[guild_id] = channel_id
        voice_session = f"voice-{self._hub.next_id()}"
        state = {
            "guild_id": str(guild_id),
            "channel_id": None if channel_id is None else str(channel_id),
            "user_id": str(world.bot_id),
            "member": world.member(0),
            "session_id": voice_session,
            "deaf": False,
            "mute": False,
            "self_deaf": bool(data.get("self_deaf")),
            "self_mute": bool(data.get("self_mute")),
            "self_video": False,
            "suppress": False,
            "request_to_speak_timestamp": None,
        }
        session.append("VOICE_STATE_UPDATE", orjson.dumps(state), now)
        if channel_id is not None:
            server = {"token": "voice-token", "guild_id": str(guild_id), "endpoint": None}
            session.append("VOICE_SERVER_UPDATE", orjson.dumps(server), now)
        return True

    def _send_channel_info(self, data: Mapping[str, Any], session: Session, now: float) -> bool:
        guild_id, fields = int(data["guild_id"]), data["fields"]
        if not isinstance(fields, list) or not set(fields) <= _CHANNEL_INFO.keys():
            return False
        channel_id = self._hub.world.voice_channel_id(guild_id)
        channel = {"id": str(channel_id)} | {name: _CHANNEL_INFO[name] for name in fields}
        answer = {"guild_id": str(guild_id), "channels": [channel]}
        session.append("CHANNEL_INFO", orjson.dumps(answer), now)
        return True

    def _send_members(self, data: Mapping[str, Any], session: Session, now: float, fault: Fault | None) -> bool:
        guild_id = data["guild_id"]
        guild_id = int(guild_id[0] if isinstance(guild_id, list) and len(guild_id) == 1 else guild_id)
        by_id, query = "user_ids" in data, data.get("query")
        if not by_id and (not isinstance(query, str) or int(data["limit"]) < 0):
            return False
        nonce = data.get("nonce")
        # Discord drops a longer one.
        extra = {"nonce": nonce} if isinstance(nonce, str) and len(nonce.encode()) <= MAX_NONCE_BYTES else {}
        retry_after_s = 0.0
        if not by_id and query == "" and data["limit"] == 0:
            if not session.intents & Intents.GUILD_MEMBERS:
                return True
            retry_after_s = self._hub.all_members.retry_after_s(guild_id, now)
        if isinstance(fault, LimitRequest):
            retry_after_s = fault.retry_after_s
        if retry_after_s:
            limited = {"opcode": 8, "retry_after": retry_after_s, "meta": {"guild_id": str(guild_id)} | extra}
            session.append("RATE_LIMITED", orjson.dumps(limited), now)
            return True
        if guild_id not in self._hub.world.guild_ids:
            return True
        presences = bool(data.get("presences")) and bool(session.intents & Intents.GUILD_PRESENCES)
        chunks = self._hub.world.member_chunks(guild_id, data, presences=presences)
        for chunk in islice(chunks, fault.sent if isinstance(fault, CutChunks) else None):
            session.append("GUILD_MEMBERS_CHUNK", orjson.dumps(chunk | extra), now)
        return True
