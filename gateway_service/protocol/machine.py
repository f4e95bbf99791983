"""One shard's protocol for its whole life, over many connections: happenings in, effects out, no I/O.

The shell reports what happened, together with the time, and performs the effects in order. After a Close the
machine is already in its next state, and the shell reports nothing more about the old socket.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway_service.errors import LocalProtocolError, RemoteProtocolError, ShardEnding
from gateway_service.protocol.address import may_resume_at
from gateway_service.protocol.constants import MIN_LARGE_THRESHOLD, READY_TIMEOUT_S, RESUME_STALL_S, Compression, Opcode
from gateway_service.protocol.effects import (
    Deliver,
    Effect,
    IdentifyAnswered,
    IdentifySent,
    Note,
    RequestPermit,
    Send,
    SessionOpened,
)
from gateway_service.protocol.guilds import GuildSnapshot, guild_id_of
from gateway_service.protocol.heartbeat import interval_s_from_hello
from gateway_service.protocol.identity import DEFAULT_PROPERTIES, Identity
from gateway_service.protocol.lifecycle import Lifecycle
from gateway_service.protocol.payloads import Payload, decode
from gateway_service.protocol.progress import CLASSIFIED_EVENTS, SessionProgress, session_id_of_ready
from gateway_service.protocol.reconnect import Cause, cause_of
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State, Trigger, can_advance
from gateway_service.protocol.wire import Wire

# Looking a member up in an enumeration costs as much as a dispatch may; these are on the path of each one.
_DISPATCH: Final = int(Opcode.DISPATCH)
_LIVE: Final = State.LIVE
_RESUMING: Final = State.RESUMING
_SPECIAL_EVENTS: Final = CLASSIFIED_EVENTS | {"RESUMED"}


class Machine(Lifecycle):
    """The conversation with Discord: HELLO, heartbeats, IDENTIFY or RESUME, dispatches, commands."""

    def __init__(
        self,
        *,
        shard_id: int,
        num_shards: int,
        token: str,
        intents: int,
        compression: Compression,
        gateway_url: str,
        rng: Callable[[], float],
        session: Session | None = None,
        large_threshold: int = MIN_LARGE_THRESHOLD,
        properties: Mapping[str, str] = DEFAULT_PROPERTIES,
    ) -> None:
        """Make the machine of one shard, in state IDLE.

        Args:
            shard_id: This shard.
            num_shards: Of how many.
            token: The bot token; it leaves the machine only inside IDENTIFY and RESUME.
            intents: The intents of every IDENTIFY.
            compression: Transport compression of new sessions.
            gateway_url: The generic gateway URL, as GET /gateway/bot returns it.
            rng: Random numbers in [0, 1).
            session: A stored session to resume; one of another shard, count or intents is forgotten at start.
            large_threshold: Members above which GUILD_CREATE leaves out the offline ones.
            properties: os, browser and device of IDENTIFY.

        Raises:
            LocalProtocolError: Discord would refuse these numbers.
        """
        identity = Identity(
            shard_id=shard_id,
            num_shards=num_shards,
            token=token,
            intents=intents,
            large_threshold=large_threshold,
            properties=properties,
        )
        super().__init__(identity, compression=compression, gateway_url=gateway_url, rng=rng, session=session)

    @property
    def shard_id(self) -> int:
        return self._identity.shard_id

    @property
    def num_shards(self) -> int:
        return self._identity.num_shards

    @property
    def session(self) -> Session | None:
        """What a store should keep now: its seq is the published one."""
        return None if self._progress is None else self._progress.session

    @property
    def resumable(self) -> bool:
        return self._progress is not None

    @property
    def received_seq(self) -> int:
        """Of the last dispatch taken in this session; 0 without one."""
        return 0 if self._progress is None else self._progress.received_seq

    @property
    def guild_count(self) -> int:
        return 0 if self._progress is None else self._progress.guild_count

    @property
    def guild_ids(self) -> tuple[int, ...]:
        """The guilds of the session, sorted."""
        return () if self._progress is None else self._progress.guild_ids

    @property
    def latency_s(self) -> float | None:
        """Of the last heartbeat on this connection; None before the first ACK."""
        heartbeater = None if self._wire is None else self._wire.heartbeater
        return None if heartbeater is None else heartbeater.latency_s

    def published(self, seq: int) -> None:
        """Take over the watermark of the present session: everything up to ``seq`` is safe in the broker."""
        if self._progress is not None:
            self._progress.published(seq)

    def permit_granted(self, now: float, presence: Mapping[str, Any] | None) -> Sequence[Effect]:
        """Send IDENTIFY, with ``presence`` when there is one."""
        wire = self._wire
        if wire is None or not can_advance(self.state, Trigger.PERMIT_GRANTED):
            return self._ignored("permit_granted")
        if not wire.limiter.take_vital(now):
            return self._retry(Cause.SEND_LIMIT, now)
        effects: list[Effect] = []
        try:
            text = self._identity.identify(presence)
        except LocalProtocolError as exc:
            effects.append(Note("presence.refused", {"reason": str(exc)}))
            text = self._identity.identify(None)
        self._policy.identify_sent()
        self._move(Trigger.PERMIT_GRANTED, now + READY_TIMEOUT_S)
        return [*effects, Send(text), IdentifySent()]

    def command(self, op: int, data: Any, now: float) -> Sequence[Effect]:
        """Send an operator's command, now or as soon as the shard is live and the limits allow.

        Raises:
            LocalProtocolError: The command is malformed or too long, the queue is full, or the shard is ending.
        """
        if self.state in (State.DRAINING, State.STOPPED):
            raise ShardEnding(f"the shard is {self.state}")
        self._commands.put(op, data)
        effects = self._flush_commands(now)
        self._arm()
        return effects

    def receive(self, frame: bytes | str, now: float) -> Sequence[Effect]:
        """Take one WebSocket message; due timers are served first. Never raises, whatever Discord sends."""
        if now >= self.next_deadline:
            return [*self.handle_timer(now), *self._receive(frame, now)]
        return self._receive(frame, now)

    def _receive(self, frame: bytes | str, now: float) -> Sequence[Effect]:
        wire = self._wire
        if wire is None:
            return ()
        wire.heard_at = now
        try:
            text = wire.feed(frame)
            if text is None:
                return ()
            try:
                payload = decode(text)
            except RemoteProtocolError as exc:
                return self._receive_unreadable(wire, text, str(exc), now)
            op, event, seq, data, raw = payload
            if op != _DISPATCH:
                return self._receive_control(wire, op, data, now)
            wire.dispatched_at = now
            progress = self._progress
            state = self.state
            if (
                progress is None
                or event is None
                or seq != progress.received_seq + 1
                or event in _SPECIAL_EVENTS
                or (state is not _LIVE and state is not _RESUMING)
            ):
                return self._receive_special(wire, payload, now)
        except RemoteProtocolError as exc:
            return self._retry(cause_of(exc), now, reason=str(exc))
        progress.received_seq = seq
        return (Deliver(event, seq, raw, guild_id_of(event, data), None),)

    def _receive_special(self, wire: Wire, payload: Payload, now: float) -> Sequence[Effect]:
        """Take a dispatch that changes something here, or is not the next one."""
        _, event, seq, data, raw = payload
        wire.seq = seq or wire.seq
        if event == "READY" and self._opens_session(data):
            return self._open_session(wire, payload, now)
        progress = self._progress
        if progress is None or self.state not in (_LIVE, _RESUMING):
            return [Note("dispatch.unexpected", {"event": event, "state": self.state})]
        effects: list[Effect] = []
        if event is None or seq is None:
            effects.append(Note("dispatch.unnumbered", {"event": event, "seq": seq}))
        else:
            effects += progress.accept(event, seq, data, raw)
        if event == "RESUMED" and (self.state is _RESUMING or wire.is_resumed):
            effects += wire.resumed(seq, progress.received_seq)
            if self.state is _RESUMING:
                self._move(Trigger.RESUMED)
                self._policy.went_live(now)
                effects += self._flush_commands(now)
                self._arm()
        return effects

    def _receive_unreadable(self, wire: Wire, text: bytes, reason: str, now: float) -> Sequence[Effect]:
        """Take a text that is no payload: it may have been damaged on its way, but not in the replay as well."""
        progress = self._progress
        if progress is None or self.state not in (_LIVE, _RESUMING):
            return self._retry(Cause.BROKEN_STREAM, now, reason=reason)
        is_repeat = self.state is _RESUMING and progress.received_seq == self._resumed_from
        seq = wire.seq = (wire.seq if is_repeat else max(wire.seq, progress.received_seq)) + 1
        if seq <= progress.received_seq:
            return [Note("dispatch.duplicate", {"event": None, "seq": seq})]
        wire.skips |= seq == progress.unreadable_seq
        progress.unreadable_seq = seq
        if not wire.skips:
            return self._retry(Cause.UNREADABLE, now, reason=reason)
        return [Note("dispatch.unreadable", {"seq": seq, "bytes": len(text), "reason": reason})]

    def _opens_session(self, data: Any) -> bool:
        """Tell whether a READY is a new session's, and not the replay of the present one's (R11)."""
        if not can_advance(self.state, Trigger.READY):
            return False
        session_id = session_id_of_ready(data, token=self._identity.token)
        return self._progress is None or self._progress.session_id != session_id

    def _open_session(self, wire: Wire, payload: Payload, now: float) -> Sequence[Effect]:
        _, _, seq, data, raw = payload
        if seq is None:
            raise RemoteProtocolError("READY without a sequence")
        effects = [] if self._progress is None else self._forget("Discord opened another one instead of resuming it")
        if self.state is State.IDENTIFYING:
            effects.append(IdentifyAnswered())
        resume_url = data.get("resume_gateway_url")
        if not may_resume_at(resume_url, gateway_url=self.gateway_url):
            effects.append(Note("url.refused"))
            resume_url = self.gateway_url
        opened = Session(
            session_id=data["session_id"],
            resume_gateway_url=resume_url,
            seq=seq - 1,  # READY itself is not published yet
            shard_id=self.shard_id,
            num_shards=self.num_shards,
            intents=self._identity.intents,
            guilds=GuildSnapshot(),
            compression=wire.compression,
        )
        self._progress = SessionProgress(opened)
        self._move(Trigger.READY)
        self._policy.went_live(now)
        effects += [SessionOpened(opened), *self._progress.accept("READY", seq, data, raw)]
        effects.append(Note("session.opened", {"guilds": self.guild_count}))
        effects += self._flush_commands(now)
        self._arm()
        return effects

    def _receive_control(self, wire: Wire, op: int, data: Any, now: float) -> Sequence[Effect]:
        match op:
            case Opcode.HEARTBEAT_ACK:
                if wire.heartbeater is not None:
                    wire.heartbeater.ack_received(now)
                return ()
            case Opcode.HEARTBEAT:
                return wire.answer(now, self._heartbeat_seq)
            case Opcode.HELLO:
                return self._receive_hello(wire, data, now)
            case Opcode.RECONNECT:
                return self._retry(Cause.OP_RECONNECT, now)
            case Opcode.INVALID_SESSION:
                return self._retry(Cause.SESSION_RESUMABLE if data is True else Cause.SESSION_INVALID, now)
            case _:
                return [Note("opcode.unknown", {"op": op})]

    def _receive_hello(self, wire: Wire, data: Any, now: float) -> Sequence[Effect]:
        if self.state is not State.HELLO_WAIT:
            return [Note("payload.unexpected", {"op": int(Opcode.HELLO), "state": self.state})]
        wire.start_heartbeat(interval_s_from_hello(data), now, self._rng())
        progress = self._progress
        if progress is None:
            self._move(Trigger.HELLO_NEW)
            return [RequestPermit()]
        if not wire.limiter.take_vital(now):
            return self._retry(Cause.SEND_LIMIT, now)
        self._resumed_from = wire.replayed_to = progress.received_seq
        wire.seq, wire.dispatched_at = progress.published_seq, now
        self._move(Trigger.HELLO_KNOWN, now + RESUME_STALL_S)
        return [Send(self._identity.resume(progress.session_id, progress.published_seq))]
