"""The server's half of one gateway connection, without I/O: client messages in, answers out.

See Discord: events/gateway, and topics/opcodes-and-status-codes for what bad input is answered with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final, assert_never

from gateway_service.protocol.constants import (
    PRESENCE_LIMIT,
    PRESENCE_WINDOW_S,
    SEND_LIMIT,
    SEND_WINDOW_S,
    SESSION_ENDING_CLOSE_CODES,
    CloseCode,
    Opcode,
)
from gateway_service.simulator.acks import Acks
from gateway_service.simulator.faults import (
    Abort,
    AskHeartbeats,
    AskReconnect,
    CloseWith,
    ConnectionFault,
    CutChunks,
    DelayAcks,
    EndStream,
    Fault,
    FillBuffer,
    Freeze,
    Garble,
    InvalidateSession,
    LimitBandwidth,
    Moment,
    SayNothing,
    SendText,
    StallClose,
    WithholdAcks,
)
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.inbound import Identify, Refused, Resume, is_int, parse, token_of
from gateway_service.simulator.limits import SlidingWindow
from gateway_service.simulator.requests import Requests
from gateway_service.simulator.sessions import Session
from gateway_service.simulator.transcript import Record, masked
from gateway_service.simulator.wire import payload_text

# Discord waits a little longer than the interval it announces; the grace is not documented.
_HEARTBEAT_GRACE: Final = 1.5
_GOING_AWAY: Final = 1001


@dataclass(frozen=True, slots=True)
class Say:
    """Send one payload that is not a dispatch."""

    text: bytes


Action = Say | CloseWith | Abort | EndStream | Freeze | StallClose | Garble | LimitBandwidth | FillBuffer


class Conversation:
    """Decides what the server says on one connection; dispatches flow from :attr:`session` beside it."""

    def __init__(self, hub: Hub, *, connection: int, host: str) -> None:
        self._hub = hub
        self._connection = connection
        self._host = host
        self._interval_s = hub.config.heartbeat_interval_ms / 1000
        self._sends = SlidingWindow(SEND_LIMIT, SEND_WINDOW_S)
        self._presences = SlidingWindow(PRESENCE_LIMIT, PRESENCE_WINDOW_S)
        self._requests = Requests(hub)
        self._beat_by: float | None = None
        self._reconnect_by: float | None = None
        self._acks = Acks()
        self._midway: tuple[int, ConnectionFault] | None = None
        self.session: Session | None = None
        self.compresses_payloads = False
        """Whether IDENTIFY asked for payload compression."""

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` has something to do."""
        deadline = min(self._beat_by or inf, self._reconnect_by or inf, self._acks.next_deadline)
        return None if deadline == inf else deadline

    def open(self, now: float) -> Sequence[Action]:
        """Begin, with HELLO or with what was armed in its place."""
        self._note(now, "client", "open")
        if (struck := self._strike(Moment.HELLO, now)) is not None:
            return struck
        self._beat_by = now + self._interval_s * _HEARTBEAT_GRACE
        return [self._say(now, Opcode.HELLO, {"heartbeat_interval": self._hub.config.heartbeat_interval_ms})]

    def receive(self, message: bytes, now: float) -> Sequence[Action]:
        """Answer one WebSocket message."""
        try:
            op, data = parse(message)
            self._note(now, "client", "payload", op=op, data=masked(data))
            return self._answer(op, data, now)
        except Refused as refusal:
            self._note(now, "client", "violation", data=f"{refusal.code.value} {refusal.reason}")
            return [self._close(now, refusal.code, refusal.reason)]

    def handle_timer(self, now: float) -> Sequence[Action]:
        """Close a connection that stopped heartbeating or ignored op 7; send the ACKs that were delayed."""
        if self._acks.is_due(now):
            return [self._say(now, Opcode.HEARTBEAT_ACK, None)]
        if self._reconnect_by is not None and now >= self._reconnect_by:
            self._reconnect_by = None
            return [self._close(now, _GOING_AWAY, "Discord is restarting this node.")]
        if self._beat_by is not None and now >= self._beat_by:
            self._beat_by = None
            self._note(now, "client", "violation", data="no heartbeat")
            return [self._close(now, self._hub.config.heartbeat_lapse_code, "")]
        return []

    def suffer(self, fault: ConnectionFault, now: float) -> Sequence[Action]:
        """Return what a fault does to this connection."""
        match fault:
            case AskReconnect():
                self._reconnect_by = now + self._hub.config.reconnect_grace_s
                return [self._say(now, Opcode.RECONNECT, None)]
            case InvalidateSession(resumable=resumable):
                if self.session is not None and not resumable:
                    self._hub.sessions.end(self.session)
                self.session = None
                return [self._say(now, Opcode.INVALID_SESSION, resumable)]
            case CloseWith(code=code, reason=reason):
                return [self._close(now, code, reason)]
            case WithholdAcks():
                self._acks.withheld = True
                return []
            case DelayAcks(by_s=by_s):
                self._acks.delay_s = by_s
                return []
            case AskHeartbeats(count=count):
                return [self._say(now, Opcode.HEARTBEAT, None) for _ in range(count)]
            case SayNothing():
                self.session = None
                return []
            case SendText(text=text):
                return [Say(text.encode("utf-8", "surrogatepass"))]
            case StallClose():
                self._beat_by = None  # what is not read cannot be late
                return [fault]
            case Abort() | EndStream() | Freeze() | Garble() | LimitBandwidth() | FillBuffer():
                return [fault]
            case _:
                assert_never(fault)

    def midway(self, seq: int) -> ConnectionFault | None:
        """Return the fault that strikes before ``seq`` is written, in the midst of a replay or a guild stream."""
        if self._midway is None or seq <= self._midway[0]:
            return None
        (_, fault), self._midway = self._midway, None
        return fault

    def excuse(self, now: float) -> None:
        """Be as before the faults that last; the client may not have been heard for a while."""
        self._acks.delay_s, self._acks.withheld = 0.0, False
        if self._beat_by is not None:
            self._beat_by = now + self._interval_s * _HEARTBEAT_GRACE

    def lost(self, code: int | None, now: float, *, client_closed_first: bool) -> None:
        """Learn how the connection ended; 1000 and 1001 from the client end its session."""
        if code is None:
            self._note(now, "client", "lost")
        elif client_closed_first:
            self._note(now, "client", "close", code=code)
            if code in SESSION_ENDING_CLOSE_CODES and self.session is not None:
                self._hub.sessions.end(self.session)

    def _answer(self, op: int, data: Any, now: float) -> Sequence[Action]:
        if self._hub.config.enforce_send_limit and not self._sends.take(now):
            raise Refused(CloseCode.RATE_LIMITED, "Rate limited.")
        match op:
            case Opcode.HEARTBEAT:
                return self._heartbeat(data, now)
            case Opcode.IDENTIFY:
                return self._identify(data, now)
            case Opcode.RESUME:
                return self._resume(data, now)
            case (
                Opcode.PRESENCE_UPDATE
                | Opcode.VOICE_STATE_UPDATE
                | Opcode.REQUEST_GUILD_MEMBERS
                | Opcode.REQUEST_SOUNDBOARD_SOUNDS
                | Opcode.REQUEST_CHANNEL_INFO
            ):
                return self._command(Opcode(op), data, now)
            case _:
                raise Refused(CloseCode.UNKNOWN_OPCODE, "Unknown opcode.")

    def _heartbeat(self, data: Any, now: float) -> Sequence[Action]:
        if data is not None and not is_int(data):
            raise Refused(CloseCode.UNKNOWN_OPCODE, "Heartbeat d is neither a number nor null.")
        self._beat_by = now + self._interval_s * _HEARTBEAT_GRACE
        if self._hub.config.trim_on_heartbeat and self.session is not None and data is not None:
            self.session.trim(data)
        return [self._say(now, Opcode.HEARTBEAT_ACK, None)] if self._acks.is_due_at_once(now) else []

    def _command(self, op: Opcode, data: Any, now: float) -> Sequence[Action]:
        if self.session is None:
            raise Refused(CloseCode.NOT_AUTHENTICATED, "Not authenticated.")
        if op is Opcode.PRESENCE_UPDATE and not self._presences.take(now):
            self._note(now, "client", "violation", data="more than 5 presence updates in 20 s")
        fault = None
        if op is Opcode.REQUEST_GUILD_MEMBERS:
            fault = self._hub.faults.take(Moment.REQUEST, host=self._host, shard_id=self.session.shard_id)
        if not self._requests.serve(op, data, self.session, now, fault):
            raise Refused(CloseCode.UNKNOWN_OPCODE, "Error while decoding payload.")
        return [Abort()] if isinstance(fault, CutChunks) else []

    def _identify(self, data: Any, now: float) -> Sequence[Action]:
        if self.session is not None:
            raise Refused(CloseCode.ALREADY_AUTHENTICATED, "Already authenticated.")
        hub = self._hub
        if not hub.accepts(token_of(data)):
            raise Refused(CloseCode.AUTHENTICATION_FAILED, "Authentication failed.")
        identify = Identify.checked(data, hub.config)
        shard_id = identify.shard_id
        struck = self._strike(Moment.IDENTIFY, now, shard_id)
        if struck is not None:
            return struck
        if not hub.pacing.take(shard_id, now):
            self._note(now, "client", "violation", data=f"IDENTIFY of shard {shard_id} too soon for its key")
            return self.suffer(InvalidateSession(), now)
        if not hub.budget.take(now):
            hub.reset_token()
            raise Refused(CloseCode.AUTHENTICATION_FAILED, "Session start limit reached; the token was reset.")
        self.compresses_payloads = identify.compress
        if identify.presence is not None:
            hub.presences[shard_id] = dict(identify.presence)
        hub.sessions.expire(now)
        self.session = hub.sessions.open(shard_id=shard_id, num_shards=identify.num_shards, intents=identify.intents)
        self._requests.greet(self.session, identify, now, self._arm_midway(Moment.GUILD_STREAM, self.session))
        return []

    def _resume(self, data: Any, now: float) -> Sequence[Action]:
        if self.session is not None:
            raise Refused(CloseCode.ALREADY_AUTHENTICATED, "Already authenticated.")
        resume = Resume.checked(data)
        session = self._hub.sessions.find(resume.session_id, now) if self._hub.accepts(resume.token) else None
        shard_id = None if session is None else session.shard_id
        if (struck := self._strike(Moment.RESUME, now, shard_id)) is not None:
            return struck
        if session is None:
            return self.suffer(InvalidateSession(), now)
        if resume.seq > session.sent_seq:
            raise Refused(CloseCode.INVALID_SEQ, "Invalid seq.")
        if not session.can_replay_after(resume.seq):  # no fault of the client: it was away for too long
            self._hub.sessions.end(session)
            return [self._close(now, CloseCode.INVALID_SEQ, "Invalid seq.")]
        self.session = session
        session.resume(resume.seq)
        self._arm_midway(Moment.REPLAY, session)
        session.append("RESUMED", b'{"_trace":["simulator"]}', now)
        return []

    def _strike(self, moment: Moment, now: float, shard_id: int | None = None) -> Sequence[Action] | None:
        """Return what an armed fault does in place of the answer; None when there is none."""
        fault = self._hub.faults.take(moment, host=self._host, shard_id=shard_id)
        return self.suffer(fault, now) if isinstance(fault, ConnectionFault) else None

    def _arm_midway(self, moment: Moment, session: Session) -> Fault | None:
        armed = self._hub.faults.take_armed(moment, host=self._host, shard_id=session.shard_id)
        if armed is not None and isinstance(armed.fault, ConnectionFault):
            self._midway = session.cursor + armed.after, armed.fault
        return None if armed is None else armed.fault

    def _say(self, now: float, op: Opcode, data: Any) -> Say:
        self._note(now, "server", "payload", op=op, data=data)
        return Say(payload_text(op, data))

    def _close(self, now: float, code: int, reason: str) -> CloseWith:
        self._note(now, "server", "close", code=code)
        return CloseWith(code, reason)

    def _note(self, now: float, side: Any, kind: Any, **facts: Any) -> None:
        session = self.session
        shard_id = None if session is None else session.shard_id
        if facts.get("op") == Opcode.IDENTIFY and isinstance(facts["data"], Mapping):
            shard = facts["data"].get("shard")
            shard_id = shard[0] if isinstance(shard, list) and shard and is_int(shard[0]) else 0
        self._hub.transcript.add(
            Record(
                now,
                self._connection,
                self._host,
                side,
                kind,
                session_id=None if session is None else session.session_id,
                shard_id=shard_id,
                **facts,
            )
        )
