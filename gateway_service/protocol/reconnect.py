"""What follows the end of a connection: how long to wait, where to dial, whether to keep the session.

The host ladder of protocol R8 has two counters, because a dead host and a dead session need different cures.
*Host failures* (no HELLO came) lead to the generic URL, still with RESUME. *Resume failures* (RESUME was sent,
and RESUMED did not come) lead to a new session.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway_service.errors import MessageTooLong, RemoteProtocolError
from gateway_service.protocol.address import is_dialable
from gateway_service.protocol.constants import (
    NEW_SESSION_CLOSE_CODES,
    RESUMABLE_CLOSE_CODE,
    SESSION_ENDING_CLOSE_CODE,
    CloseCode,
    is_suspect,
)
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State

MAX_HOST_FAILURES: Final = 3
MAX_RESUME_FAILURES: Final = 3
MAX_RESUME_SILENCE_S: Final = 180.0
BACKOFF_START_S: Final = 1.0
BACKOFF_CAP_S: Final = 60.0
# A cap of 120 s alone would spend more than a day's budget of 1000 IDENTIFYs (protocol I7).
IDENTIFY_BACKOFF_START_S: Final = 10.0
IDENTIFY_BACKOFF_CAP_S: Final = 600.0
RATE_LIMITED_DELAY_S: Final = 5.0
# The wait that Discord's staff advise after op 9 (protocol R6).
INVALID_SESSION_MIN_S: Final = 1.0
INVALID_SESSION_SPREAD_S: Final = 4.0
OP_RECONNECT_SPREAD_S: Final = 2.0
# A connection that lived this long was a good one; shorter lives in a row make the backoff grow.
SETTLED_S: Final = 10.0
_MAX_DOUBLINGS: Final = 10


class Cause(StrEnum):
    """Why a connection, or the attempt to make one, ended."""

    DIAL_FAILED = "dial_failed"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    ZOMBIE = "zombie"
    LATE = "late"
    OP_RECONNECT = "op_reconnect"
    SESSION_INVALID = "session_invalid"
    SESSION_RESUMABLE = "session_resumable"
    BROKEN_STREAM = "broken_stream"
    TOO_LONG = "too_long"
    UNREADABLE = "unreadable"
    SEND_LIMIT = "send_limit"
    OPERATOR = "operator"
    NEW_SESSION = "new_session"


def cause_of(error: RemoteProtocolError) -> Cause:
    """Return why a connection ends on which Discord sent what it must not send."""
    return Cause.TOO_LONG if isinstance(error, MessageTooLong) else Cause.BROKEN_STREAM


# We left, and nothing failed.
_DELIBERATE: Final = frozenset({Cause.OPERATOR, Cause.NEW_SESSION})
_GONE: Final = frozenset({Cause.DIAL_FAILED, Cause.CLOSED})


def close_code_after(cause: Cause) -> int | None:
    """Return how we close a connection that ends for this reason; None when there is nothing left to close."""
    if cause in _GONE:
        return None
    return SESSION_ENDING_CLOSE_CODE if cause is Cause.NEW_SESSION else RESUMABLE_CLOSE_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one connection, or the attempt to make one, ended."""

    cause: Cause
    state: State
    """The state it ended in."""
    now: float
    heard_at: float | None = None
    """When the last frame arrived; None when none did."""
    code: int | None = None
    """Discord's close code."""
    progressed: bool = False
    """A resume that delivered something new before it ended: the session is alive."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Dial again after ``delay_s``; ``forget`` says why the session has to go, and is None when it stays."""

    delay_s: float
    forget: str | None = None


@dataclass(slots=True)
class ReconnectPolicy:
    """The counters of one shard's connections, and the decisions they lead to."""

    rng: Callable[[], float]
    host_failures: int = 0
    resume_failures: int = 0
    _attempts: int = 0
    _short_lives: int = 0
    _identifies: int = 0
    _suspect_closes: int = 0
    _live_since: float | None = None
    _good_at: float | None = None

    def base_url(self, session: Session | None, gateway_url: str) -> str:
        """Return where to dial: the session's own host while it may work, else the generic one."""
        if session is None or self.host_failures >= MAX_HOST_FAILURES:
            return gateway_url
        return session.resume_gateway_url if is_dialable(session.resume_gateway_url) else gateway_url

    @property
    def doubts_gateway_url(self) -> bool:
        """Tell whether the ladder is at its end: the generic URL failed, too, so it may be another one by now (C1)."""
        return self.host_failures > MAX_HOST_FAILURES

    def identify_sent(self) -> None:
        """Count an IDENTIFY against the next ones until a connection has settled."""
        self._identifies += 1

    def went_live(self, now: float) -> None:
        """READY or RESUMED arrived: every counter of failures starts over."""
        self.host_failures = self.resume_failures = self._suspect_closes = 0
        self._attempts = self._short_lives
        self._live_since = self._good_at = now

    def after(self, ending: Ending, *, has_session: bool) -> Retry:
        """Decide what follows ``ending``, which is not a fatal close."""
        self.count(ending)
        forget = self._reason_to_forget(ending) if has_session else None
        delay_s = self._delay_s(ending)
        if forget is not None or not has_session:
            delay_s = max(delay_s, self._identify_delay_s())
        if forget is not None:
            self.host_failures = self.resume_failures = self._suspect_closes = 0
        if ending.cause not in _DELIBERATE:
            self._attempts = min(self._attempts + 1, _MAX_DOUBLINGS)
        return Retry(delay_s, forget)

    def count(self, ending: Ending) -> None:
        """Update the counters after a connection, or the attempt to make one."""
        deliberate = ending.cause in _DELIBERATE
        if ending.state is State.LIVE:
            self._good_at = ending.heard_at
            if self._live_since is not None and ending.now - self._live_since >= SETTLED_S:
                self._attempts = self._short_lives = self._identifies = 0
            elif not deliberate:
                self._short_lives = min(self._short_lives + 1, _MAX_DOUBLINGS)
        elif ending.progressed:
            self._good_at = ending.heard_at
            self.resume_failures = 0
        elif deliberate:
            pass
        elif ending.state in (State.DIALING, State.HELLO_WAIT):
            # A host that never says HELLO is of no use, even if it says op 7 (it is draining, C7) or nonsense.
            self.host_failures += 1
        elif ending.state is State.RESUMING:
            self.resume_failures += 1

    def _reason_to_forget(self, ending: Ending) -> str | None:
        if ending.cause is Cause.OPERATOR:
            return None
        if ending.cause is Cause.NEW_SESSION:
            return "a new session was asked for"
        if ending.cause is Cause.SESSION_INVALID:
            return "Discord invalidated it (op 9)"
        if ending.cause is Cause.CLOSED and ending.code in NEW_SESSION_CLOSE_CODES:
            return f"closed with {ending.code}"
        if ending.cause is Cause.CLOSED and is_suspect(ending.code):
            self._suspect_closes += 1
            if self._suspect_closes > 1:
                return f"closed with {ending.code} again"
        if not self.resume_failures:
            return None
        if self.resume_failures >= MAX_RESUME_FAILURES:
            return f"{self.resume_failures} resumes failed"
        if self._good_at is not None and ending.now - self._good_at > MAX_RESUME_SILENCE_S:
            return f"a resume failed after {ending.now - self._good_at:.0f} s of silence"
        return None

    def _delay_s(self, ending: Ending) -> float:
        if ending.cause in _DELIBERATE:
            return 0.0
        jitter = self.rng()
        # Full jitter; see protocol C9, C10.
        delay_s = jitter * min(BACKOFF_CAP_S, BACKOFF_START_S * 2.0**self._attempts)
        if ending.cause is Cause.OP_RECONNECT:
            return max(delay_s, jitter * OP_RECONNECT_SPREAD_S)
        if ending.cause in (Cause.SESSION_INVALID, Cause.SESSION_RESUMABLE):
            return max(delay_s, INVALID_SESSION_MIN_S + jitter * INVALID_SESSION_SPREAD_S)
        if ending.cause is Cause.CLOSED and ending.code == CloseCode.RATE_LIMITED:
            return max(delay_s, RATE_LIMITED_DELAY_S + jitter)
        return delay_s

    def _identify_delay_s(self) -> float:
        """Return the wait before the next IDENTIFY: none for the first two, then doubling, half of it jitter."""
        repeats = self._identifies - 1
        if repeats <= 0:
            return 0.0
        window_s = min(IDENTIFY_BACKOFF_CAP_S, IDENTIFY_BACKOFF_START_S * 2.0 ** (repeats - 1))
        return window_s * (1 + self.rng()) / 2
