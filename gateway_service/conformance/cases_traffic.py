"""Faults of what is sent, and of the whole bot: F9 to F18."""

from typing import Any, Final

from gateway_service.conformance.case import Case, Judge
from gateway_service.conformance.cases_connection import armed, noted, now
from gateway_service.conformance.client import Client
from gateway_service.conformance.reaction import KEPT, LEFT, RESUMED, STOPPED, Reaction
from gateway_service.protocol.constants import MAX_MESSAGE_BYTES, RESUMABLE_CLOSE_CODE, Opcode
from gateway_service.simulator import (
    Abort,
    CutChunks,
    Dispatch,
    FillBuffer,
    FlapGuilds,
    Garble,
    LimitBandwidth,
    LimitRequest,
    LoseIntents,
    Moment,
    PadGuilds,
    RecommendShards,
    Repeat,
    ResetToken,
    SendText,
    SetMaxConcurrency,
    Simulator,
    SkipSeqs,
    WithholdGuilds,
)

_UNNUMBERED: Final = '{"t":"ODD","s":null,"op":0,"d":{"a":1}}'
_HUGE: Final = '{"n":' + "9" * 400 + "}"
_DEEP: Final = "[" * 100_000 + "]" * 100_000
_BOMB_BYTES: Final = MAX_MESSAGE_BYTES + 1

_SKIPPED: Final = Reaction(resumes=True, closes=RESUMABLE_CLOSE_CODE, told=1)


def _kind(kind: str, count: int) -> Judge:
    return lambda _sim, client: client.kinds[kind] >= count


def _sent(event: str, count: int = 1) -> Judge:
    return lambda sim, _client: sim.sent.by_event[event] >= count


async def _ask_members(sim: Simulator, client: Client) -> None:
    data: dict[str, Any] = {"guild_id": str(sim.guild_ids[0]), "query": "", "limit": 0}
    client.driver.tell(lambda at: client.machine.command(Opcode.REQUEST_GUILD_MEMBERS, data, at))


def _restart(*, resume: bool) -> Any:
    async def act(_sim: Simulator, client: Client) -> None:
        client.driver.tell(lambda at: client.machine.restart(at, resume=resume))

    return act


def _hears_messages(sim: Simulator, _client: Client) -> bool:
    return sim.emit("MESSAGE_CREATE", guild_id=sim.guild_ids[0]) == 1


async def _roll(sim: Simulator, _client: Client) -> None:
    await sim.rolling_restart(every_s=2)


def _each(fault: str, name: str, what: Any, **facts: Any) -> Case:
    return Case(fault=fault, name=name, strike=now(what), **{"expected": KEPT, **facts})


_F9: Final = (
    _each("F9", "numbers left out", SkipSeqs(3), until=noted("dispatch.gap")),
    _each("F9", "numbers repeated", Repeat(3), until=noted("dispatch.duplicate", 3)),
    _each("F9", "no number", SendText(_UNNUMBERED), until=noted("dispatch.unnumbered")),
)
_F10: Final = (
    Case(fault="F10", name="guilds never come", before=armed(WithholdGuilds(), Moment.GUILD_STREAM), expected=KEPT),
    Case(
        fault="F10",
        name="guilds of 2 MB each",
        before=armed(PadGuilds(2_000_000), Moment.GUILD_STREAM),
        expected=KEPT,
        until=_kind("startup", 5),
    ),
    _each("F10", "guilds flap", FlapGuilds(2), until=_kind("recovered", 10)),
)
_F11: Final = (
    *(
        _each("F11", f"{how}, {compression}", Garble(how), compression=compression, expected=LEFT)
        for compression in ("zlib-stream", "zstd-stream")
        for how in ("truncated", "corrupt", "plain", "ended", "invalid-utf8")
    ),
    _each("F11", "invalid-utf8, none", Garble("invalid-utf8"), compression="none", expected=LEFT),
    *(
        _each("F11", f"fragmented, {compression}", Garble("fragmented"), compression=compression)
        for compression in ("none", "zlib-stream", "zstd-stream")
    ),
    Case(
        fault="F11",
        name="zlib split over messages",
        config={"zlib_frame_bytes": 100},
        compression="zlib-stream",
        expected=KEPT,
    ),
    *(
        _each(
            "F11",
            f"bomb, {compression}",
            Garble("bomb", _BOMB_BYTES),
            compression=compression,
            expected=LEFT,
        )
        for compression in ("zlib-stream", "zstd-stream")
    ),
)
_F12: Final = (
    _each("F12", "unknown opcode", SendText(), until=noted("opcode.unknown")),
    _each("F12", "unknown event", Dispatch("BRAND_NEW", '{"guild_id":"7"}')),
    _each("F12", "d is null", Dispatch("MESSAGE_CREATE", "null")),
    _each("F12", "huge integers", Dispatch("MESSAGE_CREATE", _HUGE)),
    _each("F12", "other key order", Garble("reordered")),
    _each("F12", "odd PRESENCE_UPDATE", Dispatch("PRESENCE_UPDATE", '{"user":7,"guild_id":[]}')),
    _each("F12", "a lone surrogate", Dispatch("MESSAGE_CREATE", '{"content":"\\ud800"}')),
    _each("F12", "NaN, in the replay as well", Dispatch("MESSAGE_CREATE", "NaN"), expected=_SKIPPED),
    _each("F12", "100k levels, in the replay as well", Dispatch("MESSAGE_CREATE", _DEEP), expected=_SKIPPED),
)
_F13: Final = (
    Case(fault="F13", name="mass disconnect", strike=now(Abort()), expected=RESUMED, shards=8),
    Case(fault="F13", name="rolling restart", act=_roll, expected=LEFT, shards=4),
)
_F14: Final = (
    _each("F14", "max_concurrency changes", SetMaxConcurrency(16)),
    _each("F14", "recommended shards change", RecommendShards(7)),
    _each("F14", "token reset", ResetToken(), expected=STOPPED),
)
_F15: Final = (
    _each("F15", "send buffer full", FillBuffer(for_s=2), expected=RESUMED),
    _each("F15", "bandwidth cap", LimitBandwidth(bytes_per_s=20_000)),
)
_F16: Final = (
    Case(
        fault="F16",
        name="chunk stream cut",
        before=armed(CutChunks(1), Moment.REQUEST),
        act=_ask_members,
        config={"members_per_guild": 2500},
        expected=RESUMED,
        until=_sent("GUILD_MEMBERS_CHUNK"),
    ),
    Case(
        fault="F16",
        name="RATE_LIMITED",
        before=armed(LimitRequest(5), Moment.REQUEST),
        act=_ask_members,
        expected=KEPT,
        until=_sent("RATE_LIMITED"),
    ),
)
_F17: Final = (
    Case(
        fault="F17",
        name="intents lost; resumed",
        strike=now(LoseIntents(until_resume=True)),
        act=_restart(resume=True),
        expected=LEFT,
        until=_hears_messages,
    ),
    Case(
        fault="F17",
        name="intents lost; identified again",
        strike=now(LoseIntents()),
        act=_restart(resume=False),
        expected=Reaction(session="renewed", closes=1000),
        until=_hears_messages,
    ),
)
_F18: Final = (_each("F18", "delivered twice", Repeat(100), until=noted("dispatch.duplicate", 5)),)

CASES: Final = (*_F9, *_F10, *_F11, *_F12, *_F13, *_F14, *_F15, *_F16, *_F17, *_F18)
