"""The connections of one shard, one after the other: when to dial, when to give up, what survives.

Nothing here reads a frame; :class:`~gateway_service.protocol.machine.Machine` adds the conversation.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.address import connect_url, is_dialable
from gateway_service.protocol.commands import CommandQueue
from gateway_service.protocol.constants import (
    ALARMING_CLOSE_CODES,
    DIAL_TIMEOUT_S,
    FATAL_CLOSE_CODES,
    FATAL_CLOSE_MEANINGS,
    HELLO_TIMEOUT_S,
    RESUMABLE_CLOSE_CODE,
    RESUME_STALL_S,
    SESSION_ENDING_CLOSE_CODES,
    Compression,
)
from gateway_service.protocol.effects import (
    CancelPermit,
    Close,
    Dial,
    Effect,
    Note,
    Send,
    SessionForgotten,
    Stopped,
)
from gateway_service.protocol.heartbeat import Tick
from gateway_service.protocol.identity import Identity
from gateway_service.protocol.progress import SessionProgress
from gateway_service.protocol.reconnect import OP_RECONNECT_SPREAD_S, Cause, Ending, ReconnectPolicy, close_code_after
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State, Trigger, advance, can_advance
from gateway_service.protocol.wire import Wire

# WebSocket libraries refuse to send other codes (protocol §10).
_SENDABLE_CLOSE_CODES: Final = frozenset(range(3000, 5000)) | SESSION_ENDING_CLOSE_CODES

_TICK_CAUSES: Final = {Tick.ZOMBIE: Cause.ZOMBIE, Tick.LATE: Cause.LATE}


class Lifecycle:
    """Owns the state, the timers, the session and the wire of one shard."""

    def __init__(
        self,
        identity: Identity,
        *,
        compression: Compression,
        gateway_url: str,
        rng: Callable[[], float],
        session: Session | None,
    ) -> None:
        if not is_dialable(gateway_url):
            raise LocalProtocolError(f"the gateway URL {gateway_url!r} is not the address of a WebSocket")
        self.state = State.IDLE
        self.next_deadline = inf
        """When :meth:`handle_timer` has to be called, if nothing else happens before."""
        self.gateway_url = gateway_url
        """The generic URL; may be replaced when it stopped working (protocol C1)."""
        self._identity = identity
        self._compression: Compression = compression
        self._rng = rng
        self._policy = ReconnectPolicy(rng)
        self._commands = CommandQueue()
        self._wire: Wire | None = None
        self._unusable = session is not None and not identity.can_resume(session)
        self._progress = None if session is None else SessionProgress(session)
        self._state_deadline = inf
        self._not_before = -inf  # the backoff that a suspension interrupted
        self._resumed_from = 0
        """``received_seq`` when RESUME was sent: more than that is progress."""

    # What the shell reports.

    def start(self, now: float) -> Sequence[Effect]:
        """Begin: dial at once. Also the only way out of STOPPED."""
        if not can_advance(self.state, Trigger.START):
            return self._ignored("start")
        effects = self._forget("it belongs to another shard, shard count or intents") if self._unusable else []
        self._unusable = False
        effects.append(self._dial(Trigger.START, now))
        return effects

    def connected(self, now: float) -> Sequence[Effect]:
        """The WebSocket of the last Dial is open."""
        if not can_advance(self.state, Trigger.CONNECTED):
            return self._ignored("connected")
        self._wire = Wire(self._wanted_compression)
        self._move(Trigger.CONNECTED, now + HELLO_TIMEOUT_S)
        return ()

    def dial_failed(self, reason: str, status: int | None, now: float) -> Sequence[Effect]:
        """No WebSocket was opened; an HTTP status instead of one is a failure like any other (C9)."""
        if self.state is not State.DIALING:
            return self._ignored("dial_failed")
        return self._retry(Cause.DIAL_FAILED, now, code=status, reason=reason)

    def connection_lost(self, code: int | None, reason: str, now: float) -> Sequence[Effect]:
        """The peer closed the WebSocket with ``code``, or it broke: None."""
        if self._wire is None:
            return self._ignored("connection_lost")
        if self.state is State.DRAINING:
            self._leave_wire()
            return ()
        effects: list[Effect] = []
        if code in ALARMING_CLOSE_CODES:
            effects.append(Note("close.alarming", {"code": code, "reason": reason}))
        if code in FATAL_CLOSE_CODES:
            effects += self._leave_wire()
            self._move(Trigger.FATAL)
            effects.append(Stopped(code, FATAL_CLOSE_MEANINGS[code]))
            return effects
        return [*effects, *self._retry(Cause.CLOSED, now, code=code, reason=reason)]

    def restart(self, now: float, *, resume: bool) -> Sequence[Effect]:
        """Leave the present connection and make another at once; without ``resume`` the session ends on purpose.

        A shard that is idle or suspended goes on waiting; one that drains or stopped makes no other connection.
        """
        if not can_advance(self.state, Trigger.RESTART):
            return self._ignored("restart")
        if self.state in (State.IDLE, State.SUSPENDED):
            self._move(Trigger.RESTART)
            return [] if resume or self._progress is None else self._forget("a new session was asked for")
        return self._retry(Cause.OPERATOR if resume else Cause.NEW_SESSION, now, trigger=Trigger.RESTART)

    def suspend(self, now: float) -> Sequence[Effect]:
        """Leave the connection resumably and make no other until :meth:`unsuspend` (R12)."""
        if not can_advance(self.state, Trigger.SUSPEND):
            return self._ignored("suspend")
        self._not_before = self._state_deadline if self.state is State.BACKOFF else now
        self._policy.count(self._ending(Cause.OPERATOR, now))
        effects = self._leave_wire(RESUMABLE_CLOSE_CODE)
        self._move(Trigger.SUSPEND)
        return effects

    def unsuspend(self, now: float) -> Sequence[Effect]:
        """Dial again, a little later than the other shards or a little earlier."""
        if not can_advance(self.state, Trigger.UNSUSPEND):
            return self._ignored("unsuspend")
        self._move(Trigger.UNSUSPEND, max(self._not_before, now + self._rng() * OP_RECONNECT_SPREAD_S))
        return ()

    def drain(self, now: float) -> Sequence[Effect]:  # noqa: ARG002 - every happening has a time
        """Deliver nothing more: what Discord still sends is left to the process that resumes."""
        if not can_advance(self.state, Trigger.DRAIN):
            return self._ignored("drain")
        effects: list[Effect] = []
        if self.state is State.DIALING:
            effects.append(Close(RESUMABLE_CLOSE_CODE))
        elif self.state is State.PERMIT_WAIT:
            effects.append(CancelPermit())
        if self._wire is not None:
            self._wire.ignore_frames()
        self._move(Trigger.DRAIN)
        return effects

    def finish(self, code: int, now: float) -> Sequence[Effect]:  # noqa: ARG002 - every happening has a time
        """Close with ``code`` and be IDLE; 1000 and 1001 end the session, any other keeps it resumable.

        Raises:
            LocalProtocolError: A WebSocket client cannot send this code.
        """
        if code not in _SENDABLE_CLOSE_CODES:
            raise LocalProtocolError(f"a client cannot close with {code}")
        effects = self._leave_wire(code)
        self._move(Trigger.FINISH)
        if code in SESSION_ENDING_CLOSE_CODES and self._progress is not None:
            effects += self._forget(f"closed with {code}")
        return effects

    def handle_timer(self, now: float) -> Sequence[Effect]:
        """Serve every deadline that has passed."""
        effects: list[Effect] = []
        wire = self._wire
        if wire is not None and wire.heartbeater is not None and now >= wire.heartbeater.next_deadline:
            tick = wire.tick(wire.heartbeater, now, self._heartbeat_seq)
            if isinstance(tick, Tick):
                return self._give_up(_TICK_CAUSES[tick], now)
            effects += tick
        if now >= self._state_deadline:
            effects += self._state_timed_out(now)
        effects += self._flush_commands(now)
        self._arm()
        return effects

    # What the pieces above and the conversation share.

    def _retry(
        self, cause: Cause, now: float, *, code: int | None = None, reason: str = "", trigger: Trigger = Trigger.RETRY
    ) -> list[Effect]:
        """Leave the present connection, or the attempt to make one, and wait for the next; ``code`` is Discord's."""
        decision = self._policy.after(
            self._ending(cause, now, code if cause is Cause.CLOSED else None), has_session=self._progress is not None
        )
        fields = {
            "cause": cause,
            "state": self.state,
            "code": code,
            "reason": reason,
            "delay_s": decision.delay_s,
            "resume": self._progress is not None and decision.forget is None,
        }
        effects = [*self._leave_wire(close_code_after(cause)), Note("connection.ended", fields)]
        self._move(trigger, now + decision.delay_s)
        if decision.forget is not None:
            effects += self._forget(decision.forget)
        return effects

    def _give_up(self, cause: Cause, now: float) -> list[Effect]:
        """Leave a dead connection; while draining nothing follows it."""
        if self.state is not State.DRAINING:
            return self._retry(cause, now)
        effects = self._leave_wire(RESUMABLE_CLOSE_CODE)
        self._arm()
        return effects

    def _ending(self, cause: Cause, now: float, code: int | None = None) -> Ending:
        received_seq = 0 if self._progress is None else self._progress.received_seq
        is_alive = received_seq > self._resumed_from or cause is Cause.UNREADABLE
        return Ending(
            cause=cause,
            state=self.state,
            now=now,
            heard_at=None if self._wire is None else self._wire.heard_at,
            code=code,
            progressed=self.state is State.RESUMING and is_alive,
        )

    def _leave_wire(self, close: int | None = None) -> list[Effect]:
        """Drop the connection, or the attempt to make one; ``close`` is the code, None when the socket is gone."""
        is_open = self._wire is not None or self.state is State.DIALING
        effects: list[Effect] = [Close(close)] if is_open and close is not None else []
        if self.state is State.PERMIT_WAIT:
            effects.append(CancelPermit())
        self._wire = None
        return effects

    def _forget(self, reason: str) -> list[Effect]:
        """Drop the session: id, sequence and URL together (R6)."""
        progress, self._progress = self._progress, None
        told = [] if progress is None else [SessionForgotten(reason, progress.received_seq, progress.guild_ids)]
        return [*told, Note("session.forgotten", {"reason": reason})]

    def _dial(self, trigger: Trigger, now: float) -> Effect:
        self._move(trigger, now + DIAL_TIMEOUT_S)
        session = None if self._progress is None else self._progress.session
        return Dial(connect_url(self._policy.base_url(session, self.gateway_url), self._wanted_compression))

    def _state_timed_out(self, now: float) -> list[Effect]:
        if self.state is State.BACKOFF:
            return [self._dial(Trigger.DIAL_DUE, now)]
        if self.state is State.RESUMING and self._wire is not None:
            # A stall timer, not a total one: a replay may be long.
            stalls_at = self._wire.dispatched_at + RESUME_STALL_S
            if stalls_at > now:
                self._state_deadline = stalls_at
                return []
        return self._retry(Cause.TIMEOUT, now)

    def _flush_commands(self, now: float) -> list[Effect]:
        if self.state is not State.LIVE or self._wire is None:
            return []
        return [Send(text) for text in self._commands.take(self._wire.limiter, now)]

    def _move(self, trigger: Trigger, deadline: float = inf) -> None:
        """Enter the next state, whose own timer ends at ``deadline``."""
        self.state = advance(self.state, trigger)
        self._state_deadline = deadline
        self._arm()

    def _arm(self) -> None:
        deadline = self._state_deadline
        wire = self._wire
        if wire is not None:
            if wire.heartbeater is not None:
                deadline = min(deadline, wire.heartbeater.next_deadline)
            if self.state is State.LIVE:
                deadline = min(deadline, self._commands.next_deadline(wire.limiter))
        self.next_deadline = deadline

    @property
    def _wanted_compression(self) -> Compression:
        # A connection that resumes repeats the query of the session's first one (C4).
        return self._compression if self._progress is None else self._progress.compression

    @property
    def _heartbeat_seq(self) -> int | None:
        # What is published, not what was read: Discord may trim its replay buffer there (H3).
        return None if self._progress is None else self._progress.published_seq or None

    def _ignored(self, happening: str) -> list[Effect]:
        return [Note("happening.ignored", {"happening": happening, "state": self.state})]
