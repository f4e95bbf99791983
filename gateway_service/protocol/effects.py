"""What the machine wants done: a closed union that the shell performs, in order, with one exhaustive ``match``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway_service.contract import GuildKind
from gateway_service.protocol.session import Session

NoteName = Literal[
    "close.alarming",  # code: Discord closed for something we sent; a person should look
    "connection.ended",  # cause, state, code, reason, delay_s, resume: why, and what follows
    "dispatch.duplicate",  # event, seq: received before, so it is dropped
    "dispatch.gap",  # event, seq, expected, unreadable: Discord skipped numbers, or we did
    "dispatch.unexpected",  # event, state: no session to which it could belong
    "dispatch.unnumbered",  # event, seq: without both of them it has no identity, so it is dropped
    "dispatch.unreadable",  # seq, bytes, reason: no JSON in the replay either, so it is skipped; a gap follows
    "happening.ignored",  # happening, state: a report about a past connection
    "heartbeat.acks_missing",  # missed: frames arrive and ACKs do not
    "heartbeat.suppressed",  # requested: the send limit leaves no room
    "opcode.unknown",  # op
    "payload.unexpected",  # op, state
    "presence.refused",  # reason: IDENTIFY went out without it
    "session.opened",  # guilds
    "session.replayed",  # replayed: so many more, because the RESUMED before was one of them
    "session.resumed",  # replayed
    "session.forgotten",  # reason
    "url.refused",  # the resume URL of READY cannot be used
]
"""Every name a note can have, with its fields."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a WebSocket, then report ``connected`` or ``dial_failed``. Any older socket is closed first."""

    url: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send one text message."""

    data: bytes = field(repr=False)  # IDENTIFY and RESUME hold the token


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with ``code``, or give up the dial that is under way; report nothing more about it."""

    code: int


@dataclass(slots=True)
class Deliver:
    """Publish one dispatch. Not frozen, only because it is made for each dispatch and frozen costs double."""

    event: str
    seq: int
    raw: bytes = field(repr=False)  # chat content
    """The exact JSON text of ``d``."""
    guild_id: int | None
    kind: GuildKind | None


@dataclass(frozen=True, slots=True)
class RequestPermit:
    """Ask for the permission to send one IDENTIFY, then report ``permit_granted``."""


@dataclass(frozen=True, slots=True)
class CancelPermit:
    """The permit asked for is not needed any more, granted or not."""


@dataclass(frozen=True, slots=True)
class RequestGatewayUrl:
    """The generic URL does not work: ask Discord for it again, and set the machine's ``gateway_url`` (C1)."""


@dataclass(frozen=True, slots=True)
class IdentifySent:
    """The Send just before this one carried the IDENTIFY."""


@dataclass(frozen=True, slots=True)
class IdentifyAnswered:
    """Discord answered the IDENTIFY, or no answer will be read any more: spacing counts from now."""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """READY arrived: keep this session instead of any other."""

    session: Session


@dataclass(frozen=True, slots=True)
class SessionForgotten:
    """The session cannot be resumed: delete it from the store. What Discord had for it is gone."""

    reason: str
    received_seq: int
    """Of the last dispatch taken."""
    guild_ids: tuple[int, ...]
    """The guilds it had, sorted."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Discord allows no further connection; ``reason`` says what a person must do."""

    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a log line or a metric; nothing has to be done."""

    name: NoteName
    fields: Mapping[str, Any] = field(default_factory=dict)


Effect = (
    Dial
    | Send
    | Close
    | Deliver
    | RequestPermit
    | CancelPermit
    | RequestGatewayUrl
    | IdentifySent
    | IdentifyAnswered
    | SessionOpened
    | SessionForgotten
    | Stopped
    | Note
)
