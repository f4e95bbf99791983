"""A supervisor and its shards as Celery nodes: which of them a remote control message is for, what each says of itself.

See Celery: Monitoring and Management Guide.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kombu.matcher import match

from gateway_service.control.local import Host
from gateway_service.control.replies import ShardView
from gateway_service.supervisor import Snapshot

# What every node answers for itself, also when nobody in particular is asked; all else is the supervisor's.
PER_NODE: Final = frozenset({"ping", "stats", "conf", "registered", "active_queues"})
# Buttons of a worker's page in Flower that would not do what they say.
_NOT_FOR_GATEWAYS: Final = frozenset(
    {
        *("add_consumer", "cancel_consumer", "autoscale", "pool_grow", "pool_shrink"),
        *("rate_limit", "time_limit", "revoke", "terminate"),
    }
)
_EMPTY: Final = frozenset({"registered", "active_queues", "active", "scheduled", "reserved", "revoked"})

Say = Callable[[Host, ShardView | None], Any]


HOSTNAME: Final = socket.gethostname()


def supervisor_node(snapshot: Snapshot) -> str:
    """Return the node name of a supervisor: ``gateway@bot-1``, and with its first shard where it does not run all."""
    if len(snapshot.shards) == snapshot.num_shards:
        return f"gateway@{HOSTNAME}"
    return f"gateway@{HOSTNAME}.{snapshot.shards[0].shard_id}"


def shard_node(shard_id: int) -> str:
    """Return the node name of a shard: ``shard-3@bot-1``."""
    return f"shard-{shard_id}@{HOSTNAME}"


def addressed(body: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the nodes, of which the first is the supervisor, that a message is for."""
    destination, pattern, matcher = body.get("destination"), body.get("pattern"), body.get("matcher")
    if destination:
        return [name for name in names if name in destination]
    if pattern and matcher:
        return [name for name in names if match(name, pattern, matcher)]  # type: ignore[arg-type]
    return list(names) if body.get("method") in PER_NODE else [names[0]]


def late_by_s(headers: Mapping[str, Any], now: float) -> float:
    """Return for how long nobody has waited for the answer of a message any more; 0 where its sender does not say."""
    expires = float(headers.get("expires") or 0.0)
    return max(0.0, now - expires) if expires else 0.0


def reply_address(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return exchange and routing key of who wants an answer; None when nobody does."""
    match body.get("reply_to"):
        case {"exchange": str() as exchange, "routing_key": str() as routing_key}:
            return exchange, routing_key
        case _:
            return None


def stock_reply(method: str, host: Host, view: ShardView | None) -> Any:
    """Answer a command that every Celery worker knows, as Flower needs it; None for others, which are not answered.

    Args:
        method: The command.
        host: The supervisor.
        view: The shard whose node is asked; None for the supervisor's own.
    """
    if method in _EMPTY:
        return []
    if method in _NOT_FOR_GATEWAYS:
        return {"error": "does not apply to a gateway"}
    match method:
        case "ping":
            return {"ok": "pong"}
        case "conf":
            return {}
        case "stats":
            return _stats(host, view)
        case _:
            return None


def _stats(host: Host, view: ShardView | None) -> dict[str, Any]:
    shards = host.service.snapshot().shards if view is None else [view]
    pid = None if view is None else view.pid
    return {
        "total": {"dispatches published": sum(shard.published for shard in shards)},
        "broker": {},
        "pool": {"implementation": "gateway", "processes": [] if pid is None else [pid]},
        "prefetch_count": 0,
        "pid": pid,
        "shards": [shard.model_dump(mode="json") for shard in shards],
    }
