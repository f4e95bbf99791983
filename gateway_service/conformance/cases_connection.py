"""Faults of connections and sessions: F1 to F8."""

from typing import Final

from gateway_service.conformance.case import Case, Judge, Strike
from gateway_service.conformance.client import Client
from gateway_service.conformance.reaction import KEPT, LEFT, RENEWED, RESUMED, STOPPED, Reaction
from gateway_service.protocol.constants import ALARMING_CLOSE_CODES, FATAL_CLOSE_CODES, Opcode
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
_RESUMABLE_CODES: Final = (1000, 1001, 1012, 4000, 4001, 4002, 4005, 4008, 4999)
_RENEWING_CODES: Final = (4003, 4006, 4007, 4009)


def _closed(when: str, code: int, expected: Reaction, *, before: Strike | None = None) -> Case:
    """Return a case of one close code, which strikes a live shard unless something was armed ``before``."""
    return Case(
        fault="F3",
        name=f"close {code} {when}",
        before=before,
        strike=None if before else now(CloseWith(code)),
        expected=STOPPED if code in FATAL_CLOSE_CODES else expected,
        until=noted("close.alarming", 1 if code in ALARMING_CLOSE_CODES else 0),
    )


_F3: Final = (
    *(_closed("live", code, RESUMED) for code in _RESUMABLE_CODES),
    *(_closed("live", code, RENEWED) for code in _RENEWING_CODES),
    *(_closed("live", code, STOPPED) for code in sorted(FATAL_CLOSE_CODES)),
    *(
        _closed(when, code, expected, before=armed(CloseWith(code), moment))
        for when, moment, expected in (
            ("before HELLO", Moment.HELLO, KEPT),
            ("before READY", Moment.IDENTIFY, RENEWED),
        )
        for code in (*_RESUMABLE_CODES, *_RENEWING_CODES, *sorted(FATAL_CLOSE_CODES))
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
