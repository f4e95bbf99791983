"""Faults as values, and the moments at which an armed one strikes.

Four kinds: what one connection suffers, what a session suffers whether or not it has a connection, what the
whole bot suffers, and what strikes only at its own moment. A new fault is one dataclass here, a name in
``verbs.py``, and one ``case`` where its kind is performed: ``conversation.py`` and ``connection.py``,
``strikes.py``, or the place that asks the plan.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal


class Moment(StrEnum):
    """Where an armed fault strikes, in place of what the server would have said."""

    UPGRADE = "upgrade"
    HELLO = "hello"
    IDENTIFY = "identify"
    """In place of READY."""
    GUILD_STREAM = "guild_stream"
    """After READY, when ``after`` dispatches of the new session were written."""
    RESUME = "resume"
    """In place of the replay."""
    REPLAY = "replay"
    """After RESUME, when ``after`` dispatches of the replay were written."""
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
    """The TCP connection is reset without a close frame."""


@dataclass(frozen=True, slots=True)
class EndStream:
    """The TCP connection is ended in order (FIN) without a close frame."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """The connection stays open, accepts what is written and says nothing: half-open TCP."""


@dataclass(frozen=True, slots=True)
class StallClose:
    """A closing handshake never ends: nothing is read any more, and TCP stays open.

    With a ``code`` the server's close frame is the last that it writes; without one it goes on writing.
    """

    code: int | None = 4000


@dataclass(frozen=True, slots=True)
class WithholdAcks:
    """Heartbeats are not ACKed any more; everything else goes on."""


@dataclass(frozen=True, slots=True)
class DelayAcks:
    """Heartbeats are ACKed late from now on."""

    by_s: float = 1.0


@dataclass(frozen=True, slots=True)
class AskHeartbeats:
    """A burst of op 1."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class SayNothing:
    """What should be said now is not, while heartbeats are ACKed; only at a moment."""


@dataclass(frozen=True, slots=True)
class SendText:
    """One message that is in no log: an unknown opcode, a dispatch without a number, no JSON at all."""

    text: str = '{"t":null,"s":null,"op":99,"d":null}'


Garbling = Literal["truncated", "corrupt", "plain", "ended", "invalid-utf8", "fragmented", "reordered", "bomb"]


@dataclass(frozen=True, slots=True)
class Garble:
    """The next dispatch arrives broken or oddly written; the log keeps it whole.

    ``truncated``, ``corrupt``, ``plain`` and ``ended`` (the compressed stream is over) break the stream;
    ``invalid-utf8`` and ``bomb`` (it inflates to ``size_bytes``) break the message; ``fragmented`` and
    ``reordered`` are allowed.
    """

    how: Garbling = "corrupt"
    size_bytes: int = 300 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LimitBandwidth:
    """Everything is written at this rate at most."""

    bytes_per_s: int = 10_000


@dataclass(frozen=True, slots=True)
class FillBuffer:
    """The send buffer counts as full: nothing is written for a while, then the connection is cut."""

    for_s: float = 5.0


ConnectionFault = (
    AskReconnect
    | InvalidateSession
    | CloseWith
    | Abort
    | EndStream
    | Freeze
    | StallClose
    | WithholdAcks
    | DelayAcks
    | AskHeartbeats
    | SayNothing
    | SendText
    | Garble
    | LimitBandwidth
    | FillBuffer
)


# What a session suffers.


@dataclass(frozen=True, slots=True)
class LoseIntents:
    """The session goes on and gets no dispatch that needs an intent outside ``kept``; nothing tells the client."""

    kept: int = 0
    until_resume: bool = False
    """Whether a RESUME gives the intents back; otherwise only a new session has them."""


@dataclass(frozen=True, slots=True)
class SkipSeqs:
    """The next ``count`` sequence numbers are never used."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Repeat:
    """The last ``count`` dispatches are written again, with the same numbers."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class FlapGuilds:
    """Every guild of the shard becomes unavailable and comes back, ``count`` times."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One dispatch, ``d`` byte for byte, whatever the intents are."""

    event: str
    text: str = "null"


SessionFault = LoseIntents | SkipSeqs | Repeat | FlapGuilds | Dispatch


# What the whole bot suffers.


@dataclass(frozen=True, slots=True)
class MoveResumeUrl:
    """READY names this ``resume_gateway_url`` from now on: a host that refuses, has no name, or no TLS."""

    url: str


@dataclass(frozen=True, slots=True)
class SetRemaining:
    """So many session starts are left."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class SetMaxConcurrency:
    """So many shards may identify at once."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class RecommendShards:
    """``GET /gateway/bot`` recommends so many shards."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class ResetToken:
    """The token is dead: every session ends, every connection is closed with 4004, REST answers 401.

    With a ``new_token`` the bot is accepted with that one, as after a reset by its owner.
    """

    new_token: str = field(default="", repr=False)


BotFault = MoveResumeUrl | SetRemaining | SetMaxConcurrency | RecommendShards | ResetToken


# What strikes only at its own moment.


@dataclass(frozen=True, slots=True)
class RefuseUpgrade:
    """An HTTP answer in place of the WebSocket upgrade."""

    status: int = 503
    body: str = "upstream connect error or disconnect/reset before headers"


@dataclass(frozen=True, slots=True)
class WithholdGuilds:
    """READY lists the guilds, and their GUILD_CREATE never comes."""


@dataclass(frozen=True, slots=True)
class PadGuilds:
    """Every GUILD_CREATE of the guild stream has so many bytes."""

    size_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """RATE_LIMITED in place of the members."""

    retry_after_s: float = 5.0


@dataclass(frozen=True, slots=True)
class CutChunks:
    """The members stop after ``sent`` chunks, and the connection is cut.

    The missing chunks are in no replay: Discord makes them for the connection that asked.
    """

    sent: int = 1


MomentFault = RefuseUpgrade | WithholdGuilds | PadGuilds | LimitRequest | CutChunks

Fault = ConnectionFault | SessionFault | BotFault | MomentFault

OWN_MOMENT: Final[dict[type, Moment]] = {
    RefuseUpgrade: Moment.UPGRADE,
    WithholdGuilds: Moment.GUILD_STREAM,
    PadGuilds: Moment.GUILD_STREAM,
    LimitRequest: Moment.REQUEST,
    CutChunks: Moment.REQUEST,
}
"""The only moment of those that have one of their own."""
