"""Celery events of the nodes of this host: workers for Flower's list, and all fields of a shard for its Shards page."""

import queue
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from celery import Celery
from celery.events import EventDispatcher

from gateway_service.contract import SHARD_EVENT
from gateway_service.control.nodes import shard_node
from gateway_service.control.replies import ShardView

EVERY_S: Final = 5.0
# Telling of a thousand shards must not cost more than a few percent of one CPU.
MAX_EVENTS_PER_S: Final = 40


class NodeEvents:
    """Sends from the remote control thread what the supervisor's loop has put here."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._views: Mapping[int, ShardView] = {}
        self._changed: queue.SimpleQueue[frozenset[int]] = queue.SimpleQueue()
        self._dispatcher: EventDispatcher | None = None
        self._due_at = 0.0

    def listener(self, views: Mapping[int, ShardView], changed: frozenset[int]) -> None:
        """Take what :class:`~gateway_service.control.feed.Feed` saw."""
        self._views = views
        if changed:
            self._changed.put(changed)

    @property
    def interval_s(self) -> float:
        """Seconds between two heartbeats of a node."""
        return max(EVERY_S, 2 * (len(self._views) + 1) / MAX_EVENTS_PER_S)

    def connected(self, app: Celery, connection: Any) -> None:
        """Use this connection from now on, and announce every node."""
        self._dispatcher = app.events.Dispatcher(connection, hostname=self._host, enabled=True)
        self._send_workers("worker-online")
        self._due_at = 0.0

    def send_due(self) -> None:
        """Send shards that changed, and every :attr:`interval_s` all of them."""
        changed: set[int] = set()
        while not self._changed.empty():
            changed |= self._changed.get_nowait()
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + self.interval_s
            self._send_workers("worker-heartbeat")
            changed |= self._views.keys()
        for shard_id in sorted(changed & self._views.keys()):
            view = self._views[shard_id]
            self._send(SHARD_EVENT, shard_node(shard_id), view.pid, freq=self.interval_s, **_fields(view))

    def goodbye(self) -> None:
        """Let Flower know at once that the nodes are gone."""
        self._send_workers("worker-offline")

    def _send_workers(self, kind: str) -> None:
        views = self._views
        self._send(kind, self._host, None, **_worker_fields(views.values(), self.interval_s))
        for shard_id, view in views.items():
            name = shard_node(shard_id)
            self._send(kind, name, view.pid, **_worker_fields([view], self.interval_s))

    def _send(self, kind: str, name: str, pid: int | None, **fields: Any) -> None:
        assert self._dispatcher is not None
        self._dispatcher.hostname, self._dispatcher.pid = name, pid or 0
        self._dispatcher.send(kind, **fields)


def _worker_fields(views: Any, interval_s: float) -> dict[str, Any]:
    shards = list(views)
    return {
        "freq": interval_s,
        "active": sum(shard.state == "live" for shard in shards),
        "processed": sum(shard.published for shard in shards),
        "loadavg": (0.0, 0.0, 0.0),
        "sw_ident": "gateway-service",
        "sw_ver": _version(),
        "sw_sys": sys.platform,
    }


def _fields(view: ShardView) -> dict[str, Any]:
    """Return the fields of a shard under names that Celery's own fields of an event do not use."""
    fields = view.model_dump(mode="json")
    fields["shard_pid"] = fields.pop("pid")
    return fields


def _version() -> str:
    try:
        return version("gateway-service")
    except PackageNotFoundError:  # run from a source tree
        return "0"
