"""The states of a shard and every way from one to another: one literal table.

A pair that is not in the table does not exist. The diagram in docs/state-machine.md is generated from it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway_service.errors import LocalProtocolError


class State(StrEnum):
    """Where a shard is. Each state owns its timers; leaving it cancels them."""

    IDLE = "idle"
    BACKOFF = "backoff"
    DIALING = "dialing"
    HELLO_WAIT = "hello_wait"
    PERMIT_WAIT = "permit_wait"
    IDENTIFYING = "identifying"
    RESUMING = "resuming"
    LIVE = "live"
    SUSPENDED = "suspended"
    DRAINING = "draining"
    STOPPED = "stopped"


class Trigger(StrEnum):
    """What makes a shard leave a state."""

    START = "start"
    DIAL_DUE = "dial_due"
    CONNECTED = "connected"
    HELLO_NEW = "hello_new"
    HELLO_KNOWN = "hello_known"
    PERMIT_GRANTED = "permit_granted"
    READY = "ready"
    RESUMED = "resumed"
    RETRY = "retry"
    RESTART = "restart"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    DRAIN = "drain"
    FINISH = "finish"
    FATAL = "fatal"


STATE_MEANINGS: Final[Mapping[State, str]] = {
    State.IDLE: "not started, or finished",
    State.BACKOFF: "no connection; a timer runs until the next dial",
    State.DIALING: "a connection is being opened",
    State.HELLO_WAIT: "connected; Discord speaks first",
    State.PERMIT_WAIT: "heartbeating, without a session; an identify permit was asked for",
    State.IDENTIFYING: "IDENTIFY was sent",
    State.RESUMING: "RESUME was sent; missed dispatches are being replayed and already delivered",
    State.LIVE: "dispatches flow; commands are sent",
    State.SUSPENDED: "no connection on purpose: there is no room for more dispatches; Discord keeps the session",
    State.DRAINING: "shutting down: heartbeating, dispatches are left to the next process",
    State.STOPPED: "Discord allows no further connection; a person must act",
}

TRIGGER_MEANINGS: Final[Mapping[Trigger, str]] = {
    Trigger.START: "the shell starts the shard",
    Trigger.DIAL_DUE: "the backoff is over",
    Trigger.CONNECTED: "the WebSocket is open",
    Trigger.HELLO_NEW: "HELLO (op 10), and there is no session to resume",
    Trigger.HELLO_KNOWN: "HELLO (op 10), and there is a session",
    Trigger.PERMIT_GRANTED: "one IDENTIFY may be sent",
    Trigger.READY: "READY: a new session",
    Trigger.RESUMED: "RESUMED: the replay is complete",
    Trigger.RETRY: "the dial failed, the connection ended, a time-out, a zombie, op 7, op 9, or a broken stream",
    Trigger.RESTART: "an operator or the supervisor wants another connection, with the session or with a new one",
    Trigger.SUSPEND: "the outbox is full",
    Trigger.UNSUSPEND: "the outbox has room again",
    Trigger.DRAIN: "shutdown or hand-over",
    Trigger.FINISH: "the shell ends the shard",
    Trigger.FATAL: "a close code after which Discord allows no reconnect",
}

TRANSITIONS: Final[Mapping[tuple[State, Trigger], State]] = {
    (State.IDLE, Trigger.START): State.DIALING,
    (State.IDLE, Trigger.RESTART): State.IDLE,
    (State.IDLE, Trigger.DRAIN): State.DRAINING,
    (State.IDLE, Trigger.FINISH): State.IDLE,
    (State.BACKOFF, Trigger.DIAL_DUE): State.DIALING,
    (State.BACKOFF, Trigger.RESTART): State.BACKOFF,
    (State.BACKOFF, Trigger.SUSPEND): State.SUSPENDED,
    (State.BACKOFF, Trigger.DRAIN): State.DRAINING,
    (State.BACKOFF, Trigger.FINISH): State.IDLE,
    (State.DIALING, Trigger.CONNECTED): State.HELLO_WAIT,
    (State.DIALING, Trigger.RETRY): State.BACKOFF,
    (State.DIALING, Trigger.RESTART): State.BACKOFF,
    (State.DIALING, Trigger.SUSPEND): State.SUSPENDED,
    (State.DIALING, Trigger.DRAIN): State.DRAINING,
    (State.DIALING, Trigger.FINISH): State.IDLE,
    (State.HELLO_WAIT, Trigger.HELLO_NEW): State.PERMIT_WAIT,
    (State.HELLO_WAIT, Trigger.HELLO_KNOWN): State.RESUMING,
    (State.HELLO_WAIT, Trigger.RETRY): State.BACKOFF,
    (State.HELLO_WAIT, Trigger.RESTART): State.BACKOFF,
    (State.HELLO_WAIT, Trigger.SUSPEND): State.SUSPENDED,
    (State.HELLO_WAIT, Trigger.DRAIN): State.DRAINING,
    (State.HELLO_WAIT, Trigger.FINISH): State.IDLE,
    (State.HELLO_WAIT, Trigger.FATAL): State.STOPPED,
    (State.PERMIT_WAIT, Trigger.PERMIT_GRANTED): State.IDENTIFYING,
    (State.PERMIT_WAIT, Trigger.RETRY): State.BACKOFF,
    (State.PERMIT_WAIT, Trigger.RESTART): State.BACKOFF,
    (State.PERMIT_WAIT, Trigger.SUSPEND): State.SUSPENDED,
    (State.PERMIT_WAIT, Trigger.DRAIN): State.DRAINING,
    (State.PERMIT_WAIT, Trigger.FINISH): State.IDLE,
    (State.PERMIT_WAIT, Trigger.FATAL): State.STOPPED,
    (State.IDENTIFYING, Trigger.READY): State.LIVE,
    (State.IDENTIFYING, Trigger.RETRY): State.BACKOFF,
    (State.IDENTIFYING, Trigger.RESTART): State.BACKOFF,
    (State.IDENTIFYING, Trigger.SUSPEND): State.SUSPENDED,
    (State.IDENTIFYING, Trigger.DRAIN): State.DRAINING,
    (State.IDENTIFYING, Trigger.FINISH): State.IDLE,
    (State.IDENTIFYING, Trigger.FATAL): State.STOPPED,
    (State.RESUMING, Trigger.RESUMED): State.LIVE,
    (State.RESUMING, Trigger.READY): State.LIVE,
    (State.RESUMING, Trigger.RETRY): State.BACKOFF,
    (State.RESUMING, Trigger.RESTART): State.BACKOFF,
    (State.RESUMING, Trigger.SUSPEND): State.SUSPENDED,
    (State.RESUMING, Trigger.DRAIN): State.DRAINING,
    (State.RESUMING, Trigger.FINISH): State.IDLE,
    (State.RESUMING, Trigger.FATAL): State.STOPPED,
    (State.LIVE, Trigger.READY): State.LIVE,
    (State.LIVE, Trigger.RETRY): State.BACKOFF,
    (State.LIVE, Trigger.RESTART): State.BACKOFF,
    (State.LIVE, Trigger.SUSPEND): State.SUSPENDED,
    (State.LIVE, Trigger.DRAIN): State.DRAINING,
    (State.LIVE, Trigger.FINISH): State.IDLE,
    (State.LIVE, Trigger.FATAL): State.STOPPED,
    (State.SUSPENDED, Trigger.RESTART): State.SUSPENDED,
    (State.SUSPENDED, Trigger.UNSUSPEND): State.BACKOFF,
    (State.SUSPENDED, Trigger.DRAIN): State.DRAINING,
    (State.SUSPENDED, Trigger.FINISH): State.IDLE,
    (State.DRAINING, Trigger.FINISH): State.IDLE,
    (State.STOPPED, Trigger.START): State.DIALING,
    (State.STOPPED, Trigger.FINISH): State.IDLE,
}


def advance(state: State, trigger: Trigger) -> State:
    """Return the next state.

    Raises:
        LocalProtocolError: The table has no such pair, so the machine must not have asked.
    """
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise LocalProtocolError(f"{trigger} while {state}") from None


def can_advance(state: State, trigger: Trigger) -> bool:
    """Tell whether ``trigger`` has a meaning in ``state``."""
    return (state, trigger) in TRANSITIONS
