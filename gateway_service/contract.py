"""The message contract between the gateway and the workers. Documented in docs/message-contract.md.

One dispatch becomes one Celery task message (protocol 2, JSON). Everything both sides must agree on
is written here once: names, headers, ids, routing keys.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

CONTRACT_VERSION: Final = 1
TASK_PREFIX: Final = "gateway."
EVENTS_EXCHANGE: Final = "gateway.events"
UNROUTED_EXCHANGE: Final = "gateway.unrouted"
UNROUTED_QUEUE: Final = "gateway.unrouted"
DEAD_EXCHANGE: Final = "gateway.dead"
DEAD_QUEUE: Final = "gateway.dead"
RETRIES_EXCHANGE: Final = "gateway.retries"
"""Topic exchange, routing key = queue name: a retry goes back to its own queue and to no other group's."""
GAP_EVENT: Final = "GATEWAY_GAP"
"""Our own event beside Discord's: dispatches of a session may be missing."""
DEFAULT_GROUP: Final = "default"

PULSE_FD: Final = "WORKER_PULSE_FD"
"""Environment variable with the number of the pipe into which a worker writes while it is alive."""

# Remote control between supervisors, and from tasks to them, over Celery's own mailboxes.
GATEWAY_NODES: Final = "gateway@*"
"""Pattern of the node names of supervisors. Only asked by it, ordinary workers neither run a command nor answer."""
ASKED_BY: Final = "asked_by"
"""Argument with the name of who asks; the reply to it is whole and typed, one without it is for people to read."""
ASKED_FOR: Final = "asked_for"
"""Argument with the name of whom a supervisor asks for, when it passes a call on."""
SHARD_EVENT: Final = "gateway-shard"
"""Type of the Celery event that carries a shard: routing key ``gateway.shard``, ``freq`` the seconds to the next."""
LANES: Final = 64
"""All dispatches of one guild have the same lane; a subscriber that needs their order divides the lanes among its
workers. See :func:`lane_of`."""

# Every side declares these with the same arguments: RabbitMQ refuses a declaration that differs from the first.
EVENTS_EXCHANGE_ARGUMENTS: Final[Mapping[str, Any]] = {"alternate-exchange": UNROUTED_EXCHANGE}
# The next two queues are there to be looked into, so the newest messages are worth more than the oldest.
UNROUTED_QUEUE_ARGUMENTS: Final[Mapping[str, Any]] = {
    "x-queue-type": "classic",
    "x-max-length": 10_000,
    "x-overflow": "drop-head",
}
DEAD_QUEUE_ARGUMENTS: Final[Mapping[str, Any]] = {
    "x-queue-type": "quorum",
    "x-max-length": 100_000,
    "x-overflow": "drop-head",
    # Looking at a message counts as a delivery, and RabbitMQ 4 throws away what was delivered twenty times.
    "x-delivery-limit": 1_000_000,
}
MAX_REDELIVERIES: Final = 3
"""A message whose worker dies over it is given out this often again, then it is dead."""
EVENT_QUEUE_ARGUMENTS: Final[Mapping[str, Any]] = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    "x-delivery-limit": MAX_REDELIVERIES,
}

# What a stock Celery worker needs after the positional arguments: keyword arguments and the embed mapping.
# See Celery: Message Protocol, version 2.
BODY_PREFIX: Final = b"[["
BODY_SUFFIX: Final = b'],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'

GuildKind = Literal["startup", "join", "recovered", "outage", "left"]
"""Why a GUILD_CREATE or GUILD_DELETE arrived; see protocol/guilds.py."""

# A routing key is at most 255 bytes (AMQP shortstr) and '.', '*' and '#' have a meaning in it.
_PLAIN_EVENT_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,100}", re.ASCII)
_DIGEST_CHARS: Final = 16


def event_token(event: str) -> str:
    """Return ``event`` in a form fit for task names, routing keys and queue names.

    Discord's own names come back unchanged. Any other name becomes its fitting characters followed by a
    digest, so that two different names never share a token.
    """
    if _PLAIN_EVENT_NAME.fullmatch(event):
        return event
    digest = hashlib.sha256(event.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{re.sub(r'[^A-Za-z0-9_]', '_', event)[:80]}-{digest}"


def task_name(event: str) -> str:
    """Return the Celery task name of a dispatch name: ``gateway.MESSAGE_CREATE``."""
    return TASK_PREFIX + event_token(event)


def lane_of(guild_id: int | None) -> int:
    """Return the lane of a guild, 0 to 63; dispatches without a guild share lane 0.

    The lowest 22 bits of a snowflake count within a process of Discord and a millisecond; the next ones are its time.
    """
    return 0 if guild_id is None else (guild_id >> 22) % LANES


def routing_key(event: str, guild_id: int | None = None) -> str:
    """Return the routing key of one dispatch: ``MESSAGE_CREATE.07``; the lane always has two digits."""
    return f"{event_token(event)}.{lane_of(guild_id):02d}"


def binding_key(token: str) -> str:
    """Return the key that binds a queue to every lane of an :func:`event_token`: ``MESSAGE_CREATE.*``."""
    return f"{token}.*"


def queue_name(group: str, route: str) -> str:
    """Return the name of the queue that holds ``route`` for ``group``: ``default.MESSAGE_CREATE``."""
    return f"{group}.{route}"


def lane_queue_name(group: str, lane: int, lanes: int) -> str:
    """Return the name of the queue for one share of a group's ordered events: ``default.lane-3-of-8``.

    The number of shares is in the name, so that another number means other queues.
    """
    return queue_name(group, f"lane-{lane}-of-{lanes}")


def lanes_exchange(group: str, lanes: int) -> str:
    """Return the name of the exchange between ``gateway.events`` and a group's lane queues: ``default.lanes-of-8``."""
    return queue_name(group, f"lanes-of-{lanes}")


def lane_workers_queue(group: str) -> str:
    """Return the name of a queue that is always empty: its consumers are the workers that share the lanes."""
    return queue_name(group, "lanes")


HOLDER_SUFFIX: Final = ".holder"
"""Behind the name of a lane queue: the name of an exclusive queue that the worker has which holds the lane."""


def session_hash(session_id: str) -> str:
    """Return the public name of a session: it identifies it and cannot resume it."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]


def task_id_for(session: str, seq: int) -> str:
    """Return the id of a dispatch: the same dispatch always has the same id, replayed or not.

    Args:
        session: A :func:`session_hash`.
        seq: The ``s`` of the payload.
    """
    return f"{session}-{seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What a handler gets beside the payload's ``d``: where and when the dispatch arrived."""

    event: str
    """Dispatch name, Discord's ``t``: ``"MESSAGE_CREATE"``."""
    bot_id: str
    """Whose session received it: Discord's id of the bot, as far as its token has one."""
    shard: tuple[int, int]
    """``(shard_id, num_shards)``."""
    seq: int
    """Discord's ``s``, counted per session."""
    session: str
    """Hash of the session id; ``f"{session}-{seq}"`` identifies the dispatch for ever."""
    guild_id: int | None
    """The guild it belongs to; None for direct messages and other guild-less dispatches."""
    received_at: float
    """UNIX seconds at which the gateway read it from the socket."""
    kind: GuildKind | None = None
    """Only on GUILD_CREATE and GUILD_DELETE."""

    @property
    def id(self) -> str:
        """The task id of this dispatch, without the handler suffix."""
        return task_id_for(self.session, self.seq)

    @classmethod
    def from_headers(cls, headers: Mapping[str, Any]) -> "Dispatch":
        """Read a dispatch from the headers of its task message.

        Raises:
            KeyError: A header of the contract is missing: the message is not from the gateway.
        """
        shard_id, num_shards = headers["shard"]
        guild_id = headers.get("guild_id")
        return cls(
            event=headers["event"],
            bot_id=headers["bot_id"],
            shard=(int(shard_id), int(num_shards)),
            seq=int(headers["seq"]),
            session=headers["session"],
            guild_id=None if guild_id is None else int(guild_id),
            received_at=float(headers["received_at"]),
            kind=headers.get("kind"),
        )


# orjson turns integers beyond 64 bits into floats; a run of this many digits sends the text to the exact decoder.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}[0-9]")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def loads_exact(text: bytes) -> Any:
    """Decode JSON without changing a value: fast where that is safe, exact where integers are long.

    Raises:
        ValueError: ``text`` is not JSON (RFC 8259): bad syntax, bad UTF-8, NaN, or nested too deeply.
    """
    if _LONG_NUMBER.search(text) is None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # lone surrogates and very deep nesting: the standard library knows them
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
