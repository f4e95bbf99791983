"""The connections of one shard, one after the other: how one is left, where the next is dialled, what survives."""

from collections.abc import Callable
from math import inf

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.address import connect_url, is_dialable
from gateway_service.protocol.commands import CommandQueue
from gateway_service.protocol.constants import DIAL_TIMEOUT_S, RESUMABLE_CLOSE_CODE, RESUME_STALL_S, Compression
from gateway_service.protocol.effects import (
    CancelPermit,
    Close,
    Dial,
    Effect,
    IdentifyAnswered,
    Note,
    RequestGatewayUrl,
    Send,
    SessionForgotten,
)
from gateway_service.protocol.identity import Identity
from gateway_service.protocol.progress import SessionProgress
from gateway_service.protocol.reconnect import Cause, Ending, ReconnectPolicy, close_code_after
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State, Trigger, advance
from gateway_service.protocol.wire import Wire


class Connections:
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
        if self._policy.doubts_gateway_url:
            effects.append(RequestGatewayUrl())
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
        elif self.state is State.IDENTIFYING:
            effects.append(IdentifyAnswered())
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

    @property
    def queued_commands(self) -> int:
        """Commands that wait until the shard is live and the limits let them pass."""
        return len(self._commands)

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
