"""Faults of connections and sessions: F1 to F8."""

from typing import Final

from gateway_service.conformance.case import Case, Judge, Strike
from gateway_service.conformance.client import Client
from gateway_service.conformance.reaction import KEPT, LEFT, RENEWED, RESUMED, STOPPED, Reaction
from gateway_service.protocol.constants import Opcode
from gateway_service.simulator import (
    Abort,
    AskHeartbeats,
    AskReconnect,
    CloseWith,
    DelayAcks,
    EndStream,
    Freeze,
    InvalidateSession,
    Moment,
    MoveResumeUrl,
    RefuseUpgrade,
    SayNothing,
    Simulator,
    StallClose,
    WithholdAcks,
)
from gateway_service.simulator.faults import Fault

# The port of the discard service: nobody listens there.
_REFUSED: Final = "ws://127.0.0.1:9"
_RESUME_HOST: Final = "localhost"
_GENERIC_HOST: Final = "127.0.0.1"
_HOST_FAILURES: Final = 3
_CLOUDFLARE: Final = "<html><title>Error 1015</title></html>"


def now(fault: Fault) -> Strike:
    """Return a strike on the live connections."""
    return lambda sim: sim.inject(fault)


def armed(fault: Fault, moment: Moment, *, times: int = 1, after: int = 1, host: str | None = None) -> Strike:
    """Return a strike at the next fitting moment."""
    return lambda sim: sim.arm(fault, moment, times=times, after=after, host=host)


def reconnecting(fault: Fault, moment: Moment, *, times: int = 1, after: int = 1, host: str | None = None) -> Strike:
    """Return a strike at a moment of the reconnect that it causes."""

    def strike(sim: Simulator) -> None:
        sim.arm(fault, moment, times=times, after=after, host=host)
        sim.abort()

    return strike


def noted(name: str, times: int = 1) -> Judge:
    return lambda _sim, client: client.notes[name] >= times


def _generic(sim: Simulator, _client: Client) -> bool:
    """Tell whether the last RESUME went to the generic URL."""
    resumes = sim.transcript.payloads(Opcode.RESUME)
    return bool(resumes) and resumes[-1].host == _GENERIC_HOST


def _resumes(count: int) -> Judge:
    return lambda sim, _client: len(sim.transcript.payloads(Opcode.RESUME)) == count


def _beats(count: int) -> Judge:
    return lambda sim, _client: len(sim.transcript.payloads(Opcode.HEARTBEAT)) >= count


def _moved(name: str, move: Strike) -> Case:
    return Case(fault="F6", name=name, before=move, strike=now(Abort()), expected=RESUMED, until=_generic)


async def _move_everything(sim: Simulator, _client: Client) -> None:
    await sim.move_gateway()
    sim.arm(RefuseUpgrade(503), Moment.UPGRADE, times=_HOST_FAILURES, host=_RESUME_HOST)
    sim.abort()


def _deaf(sim: Simulator) -> None:
    sim.inject(StallClose(None))
    sim.op7()


def _close_twice(sim: Simulator) -> None:
    sim.arm(CloseWith(4999), Moment.RESUME)
    sim.close(code=4999)


def _talk_without_acks(sim: Simulator) -> None:
    sim.inject(WithholdAcks())
    sim.start_traffic(2, 200)


_CLOSED_FIRST: Final = Reaction(closes=4000)
_RENEWED_LEFT: Final = Reaction(session="renewed", closes=4000)
_FAILED_RESUME: Final = Reaction(session="renewed", resumes=True)

_F1: Final = (
    Case(fault="F1", name="op 7 instead of HELLO", before=armed(AskReconnect(), Moment.HELLO), expected=_CLOSED_FIRST),
    Case(fault="F1", name="op 7 live", strike=now(AskReconnect()), expected=LEFT),
    Case(
        fault="F1",
        name="op 7 mid-replay",
        strike=reconnecting(AskReconnect(), Moment.REPLAY, after=2),
        expected=LEFT,
    ),
    Case(
        fault="F1",
        name="op 7 mid-guild-stream",
        before=armed(AskReconnect(), Moment.GUILD_STREAM, after=3),
        expected=LEFT,
    ),
    Case(fault="F1", name="close 1001", strike=now(CloseWith(1001)), expected=RESUMED),
)
_F2: Final = (
    Case(
        fault="F2",
        name="op 9 true after IDENTIFY",
        before=armed(InvalidateSession(resumable=True), Moment.IDENTIFY),
        expected=_RENEWED_LEFT,
    ),
    Case(
        fault="F2",
        name="op 9 false after IDENTIFY",
        before=armed(InvalidateSession(), Moment.IDENTIFY),
        expected=_RENEWED_LEFT,
    ),
    Case(
        fault="F2",
        name="op 9 true after RESUME",
        strike=reconnecting(InvalidateSession(resumable=True), Moment.RESUME),
        expected=LEFT,
        until=_resumes(2),
    ),
    Case(
        fault="F2",
        name="op 9 false after RESUME",
        strike=reconnecting(InvalidateSession(), Moment.RESUME),
        expected=Reaction(session="renewed", resumes=True, closes=4000),
    ),
    Case(fault="F2", name="op 9 true live", strike=now(InvalidateSession(resumable=True)), expected=LEFT),
    Case(fault="F2", name="op 9 false live", strike=now(InvalidateSession()), expected=_RENEWED_LEFT),
)
_RESUMABLE_CODES: Final = (1000, 1012, 4000, 4001, 4002, 4005, 4008, 4999)
_RENEWING_CODES: Final = (4003, 4006, 4007, 4009)
_FATAL_CODES: Final = (4004, 4010, 4011, 4012, 4013, 4014)
_F3: Final = (
    *(
        Case(fault="F3", name=f"close {code} live", strike=now(CloseWith(code)), expected=expected)
        for codes, expected in ((_RESUMABLE_CODES, RESUMED), (_RENEWING_CODES, RENEWED), (_FATAL_CODES, STOPPED))
        for code in codes
    ),
    *(
        Case(fault="F3", name=f"close {code} before HELLO", before=armed(CloseWith(code), Moment.HELLO), expected=KEPT)
        for code in (1012, 4000, 4009, 4999)
    ),
    Case(fault="F3", name="close 4004 before HELLO", before=armed(CloseWith(4004), Moment.HELLO), expected=STOPPED),
    *(
        Case(fault="F3", name=f"close {code} before READY", before=armed(CloseWith(code), Moment.IDENTIFY), expected=to)
        for code, to in ((1012, RENEWED), (4000, RENEWED), (4999, RENEWED), (4014, STOPPED))
    ),
    Case(
        fault="F3",
        name="close 4999 live, then after RESUME",
        strike=_close_twice,
        expected=_FAILED_RESUME,
    ),
)
_F4: Final = (
    Case(fault="F4", name="TCP reset", strike=now(Abort()), expected=RESUMED),
    Case(fault="F4", name="FIN without a close frame", strike=now(EndStream()), expected=RESUMED),
    Case(fault="F4", name="half-open", strike=now(Freeze()), expected=RESUMED),
    Case(fault="F4", name="close frame, TCP stays open", strike=now(StallClose(4000)), expected=RESUMED),
    Case(fault="F4", name="our close is not answered", strike=_deaf, expected=RESUMED),
)
_F5: Final = (
    Case(
        fault="F5",
        name="ACKs withheld, dispatches flow",
        strike=_talk_without_acks,
        expected=KEPT,
        until=noted("heartbeat.acks_missing"),
    ),
    Case(fault="F5", name="ACKs withheld, silence", strike=now(WithholdAcks()), expected=LEFT),
    Case(fault="F5", name="ACKs late", strike=now(DelayAcks(by_s=3)), expected=KEPT, until=_beats(4)),
    Case(fault="F5", name="op 1 burst", strike=now(AskHeartbeats(20)), expected=KEPT, until=_beats(20)),
)
_F6: Final = (
    Case(
        fault="F6",
        name="503",
        strike=reconnecting(RefuseUpgrade(503), Moment.UPGRADE, times=_HOST_FAILURES, host=_RESUME_HOST),
        expected=RESUMED,
        until=_generic,
    ),
    Case(
        fault="F6",
        name="429 with HTML",
        strike=reconnecting(RefuseUpgrade(429, _CLOUDFLARE), Moment.UPGRADE, times=_HOST_FAILURES, host=_RESUME_HOST),
        expected=RESUMED,
        until=_generic,
    ),
    Case(
        fault="F6",
        name="cut before the upgrade",
        strike=reconnecting(Abort(), Moment.UPGRADE, times=_HOST_FAILURES, host=_RESUME_HOST),
        expected=RESUMED,
        until=_generic,
    ),
    Case(
        fault="F6",
        name="upgrade, then silence",
        strike=reconnecting(Freeze(), Moment.HELLO, times=_HOST_FAILURES, host=_RESUME_HOST),
        expected=RESUMED,
        until=_generic,
    ),
    Case(fault="F6", name="generic URL moved too", act=_move_everything, expected=RESUMED, until=_generic),
    _moved("refused", now(MoveResumeUrl(_REFUSED))),
    _moved("no such name", now(MoveResumeUrl("ws://gone.invalid"))),
    _moved("no TLS", lambda sim: sim.inject(MoveResumeUrl(sim.resume_gateway_url.replace("ws:", "wss:")))),
)
_F7: Final = (
    Case(
        fault="F7",
        name="RESUME answered by 1006, once",
        strike=reconnecting(Abort(), Moment.RESUME),
        expected=RESUMED,
        until=_resumes(2),
    ),
    Case(
        fault="F7",
        name="RESUME answered by 1006, ever",
        strike=reconnecting(Abort(), Moment.RESUME, times=9),
        expected=_FAILED_RESUME,
        until=_resumes(3),
    ),
)
_F8: Final = (
    Case(fault="F8", name="no HELLO", before=armed(SayNothing(), Moment.HELLO), expected=_CLOSED_FIRST),
    Case(fault="F8", name="no READY", before=armed(SayNothing(), Moment.IDENTIFY), expected=_RENEWED_LEFT),
    Case(
        fault="F8",
        name="no RESUMED",
        strike=reconnecting(SayNothing(), Moment.RESUME),
        expected=LEFT,
        until=_resumes(2),
    ),
    Case(
        fault="F8",
        name="no RESUMED after some replay",
        strike=reconnecting(SayNothing(), Moment.REPLAY, after=2),
        expected=LEFT,
        until=_resumes(2),
    ),
)

CASES: Final = (*_F1, *_F2, *_F3, *_F4, *_F5, *_F6, *_F7, *_F8)
