"""What happens to a shard beside its conversation: it starts, connects, is cut off, restarted, suspended, drained.

Nothing here reads a frame; :class:`~gateway_service.protocol.machine.Machine` adds the conversation.
"""

from collections.abc import Sequence
from typing import Final

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.connections import Connections
from gateway_service.protocol.constants import (
    ALARMING_CLOSE_CODES,
    FATAL_CLOSE_CODES,
    FATAL_CLOSE_MEANINGS,
    HELLO_TIMEOUT_S,
    RESUMABLE_CLOSE_CODE,
    SENDABLE_CLOSE_CODES,
    SESSION_ENDING_CLOSE_CODES,
)
from gateway_service.protocol.effects import CancelPermit, Close, Effect, IdentifyAnswered, Note, Stopped
from gateway_service.protocol.heartbeat import Tick
from gateway_service.protocol.reconnect import OP_RECONNECT_SPREAD_S, Cause
from gateway_service.protocol.states import State, Trigger, can_advance
from gateway_service.protocol.wire import Wire

_TICK_CAUSES: Final = {Tick.ZOMBIE: Cause.ZOMBIE, Tick.LATE: Cause.LATE}


class Lifecycle(Connections):
    """What the shell reports and operators ask for; of frames it knows nothing."""

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
        elif self.state is State.IDENTIFYING:
            effects.append(IdentifyAnswered())
        if self._wire is not None:
            self._wire.ignore_frames()
        self._move(Trigger.DRAIN)
        return effects

    def finish(self, code: int, now: float) -> Sequence[Effect]:  # noqa: ARG002 - every happening has a time
        """Close with ``code`` and be IDLE; 1000 and 1001 end the session, any other keeps it resumable.

        Raises:
            LocalProtocolError: A WebSocket client cannot send this code.
        """
        if code not in SENDABLE_CLOSE_CODES:
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
