"""Faults as values, and the moments at which an armed one strikes.

Three kinds: what one connection suffers, what a session suffers whether or not it has a connection, and what
the whole bot suffers. A few strike only at their own moment, in place of what the server would have said. A new
fault is one dataclass here, a name in ``verbs.py``, and one ``case`` where its kind is performed.
"""

from dataclasses import dataclass
from enum import StrEnum


class Moment(StrEnum):
    """Where an armed fault strikes, in place of what the server would have said."""

    UPGRADE = "upgrade"
    HELLO = "hello"
    IDENTIFY = "identify"
    """In place of READY."""
    RESUME = "resume"
    """In place of the replay."""
    REQUEST = "request"
    """In place of the answer to op 8."""


# What one connection suffers.


@dataclass(frozen=True, slots=True)
class AskReconnect:
    """Op 7; the connection is closed with 1001 when the client ignores it."""


@dataclass(frozen=True, slots=True)
class InvalidateSession:
    """Op 9; ``resumable`` is its ``d``."""

    resumable: bool = False


@dataclass(frozen=True, slots=True)
class CloseWith:
    """A close frame; the session stays resumable."""

    code: int = 4000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """The TCP connection is cut without a close frame."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """The connection stays open, accepts what is written and says nothing: half-open TCP."""


ConnectionFault = AskReconnect | InvalidateSession | CloseWith | Abort | Freeze


# What a session suffers.


@dataclass(frozen=True, slots=True)
class LoseIntents:
    """The session goes on and gets no dispatch that needs an intent outside ``kept``; nothing tells the client."""

    kept: int = 0
    until_resume: bool = False
    """Whether a RESUME gives the intents back; otherwise only a new session has them."""


SessionFault = LoseIntents


# What strikes only at its own moment.


@dataclass(frozen=True, slots=True)
class RefuseUpgrade:
    """An HTTP answer in place of the WebSocket upgrade; only at :attr:`Moment.UPGRADE`."""

    status: int = 503
    body: str = "upstream connect error or disconnect/reset before headers"


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """RATE_LIMITED in place of the members; only at :attr:`Moment.REQUEST`."""

    retry_after_s: float = 5.0


@dataclass(frozen=True, slots=True)
class CutChunks:
    """The members stop after ``sent`` chunks, and the connection is cut; only at :attr:`Moment.REQUEST`.

    The missing chunks are in no replay: Discord makes them for the connection that asked.
    """

    sent: int = 1


Fault = ConnectionFault | SessionFault | RefuseUpgrade | LimitRequest | CutChunks
