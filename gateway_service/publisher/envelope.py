"""One dispatch on its way to the broker, and what its task message says about it."""

import socket
from dataclasses import dataclass, field
from typing import Any, Final

from gateway_service.contract import (
    BODY_PREFIX,
    BODY_SUFFIX,
    CONTRACT_VERSION,
    GuildKind,
    event_token,
    task_id_for,
    task_name,
)

# What an envelope costs in memory beside the payload: the object, its integers and strings, its places in queues.
ENVELOPE_OVERHEAD_BYTES: Final = 512

# The headers of a message must fit into one AMQP frame; Discord's own names have less than 50 characters.
MAX_EVENT_CHARS: Final = 1000
_MAX_AMQP_INTEGER: Final = 2**63 - 1


@dataclass(slots=True)
class Envelope:
    """One dispatch with everything its task message needs; one is made for each dispatch, so it is lean.

    Where that happens the fields are given by position, which is half the cost of naming them.
    """

    event: str
    seq: int
    session: str
    """Hash of the session id, see :func:`gateway_service.contract.session_hash`."""
    shard_id: int
    num_shards: int
    guild_id: int | None
    received_at: float
    """UNIX seconds."""
    kind: GuildKind | None
    raw: bytes = field(repr=False)
    """The exact JSON text of ``d``; never shown, it may hold chat content."""
    is_confirmed: bool = field(default=False, compare=False)
    """The broker has it; written by the outbox alone."""
    row: int = field(default=0, compare=False)
    """Its place in the spool; 0 while it is in memory only."""
    traceparent: str | None = field(default=None, compare=False)
    """The span that it belongs to, in the words of W3C's Trace Context; None while it is not traced."""

    @property
    def size_bytes(self) -> int:
        """What it occupies in memory, near enough for a bound."""
        return len(self.raw) + ENVELOPE_OVERHEAD_BYTES

    @property
    def body_bytes(self) -> int:
        """The length of :attr:`body`."""
        return len(BODY_PREFIX) + len(self.raw) + len(BODY_SUFFIX)

    @property
    def task_id(self) -> str:
        return task_id_for(self.session, self.seq)

    @property
    def body(self) -> bytes:
        """The body of the task message."""
        return BODY_PREFIX + self.raw + BODY_SUFFIX


@dataclass(frozen=True, slots=True)
class Origin:
    """Who publishes: the same for all messages of a process."""

    bot_id: str
    host: str = field(default_factory=socket.gethostname)
    """The name of this machine or pod."""


def lasting_headers(envelope: Envelope, origin: Origin) -> dict[str, Any]:
    """Return the headers that are equal for all dispatches of one name, kind, shard and session.

    Args:
        envelope: Any of those dispatches.
        origin: Who publishes it.
    """
    shard = f"{envelope.shard_id}/{envelope.num_shards}"
    return {
        "lang": "py",
        "task": task_name(envelope.event),
        "contract": CONTRACT_VERSION,
        "event": envelope.event[:MAX_EVENT_CHARS],
        "bot_id": origin.bot_id,
        "shard": [envelope.shard_id, envelope.num_shards],
        "session": envelope.session,
        "kind": envelope.kind,
        "retries": 0,
        # Flower and worker logs show these two as they are, so they never hold content.
        "argsrepr": f"(<{event_token(envelope.event)} of shard {shard}>,)",
        "kwargsrepr": "{}",
        "origin": f"shard-{envelope.shard_id}@{origin.host}",
    }


def headers_of(envelope: Envelope, origin: Origin) -> dict[str, Any]:
    """Return all headers of the task message."""
    guild_id = envelope.guild_id
    trace = {} if envelope.traceparent is None else {"traceparent": envelope.traceparent}
    return {
        **lasting_headers(envelope, origin),
        "seq": envelope.seq,
        # AMQP has no larger integers; no snowflake is that large, and Dispatch reads both forms.
        "guild_id": guild_id if guild_id is None or abs(guild_id) <= _MAX_AMQP_INTEGER else str(guild_id),
        "received_at": envelope.received_at,
        "id": envelope.task_id,
        "root_id": envelope.task_id,
        **trace,
    }
