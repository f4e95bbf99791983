"""What changed, as it changes: for the event stream of the HTTP API and for Celery's events."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from gateway_service.control.local import Host, views
from gateway_service.control.replies import ShardView

POLL_S: Final = 0.25
# Looking costs time that grows with the number of shards; it may take this share of one CPU and no more.
_CPU_SHARE: Final = 0.01
MAX_UNREAD: Final = 1000

_COMPARED: Final = ("state", "since", "session", "reason", "process", "restarts")

Listener = Callable[[Mapping[int, ShardView], frozenset[int]], None]
"""Gets every shard by its id, and the ids of those that changed since the last time."""


class Feed:
    """Looks at the shards for as long as somebody wants to know, and tells who listens what changed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listeners: set[Listener] = set()
        self._wanted = asyncio.Event()
        self._seen: dict[int, ShardView] = {}

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` at every look; return the function that ends it."""
        self._listeners.add(listener)
        self._wanted.set()

        def stop() -> None:
            self._listeners.discard(listener)

        return stop

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if not self._listeners:
                self._wanted.clear()
                await self._wanted.wait()
            began = time.process_time()
            self._look()
            await asyncio.sleep(max(POLL_S, (time.process_time() - began) / _CPU_SHARE))

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every shard once, then each change; ends when the reader is too slow."""
        unread: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(MAX_UNREAD + 1)

        def listener(now: Mapping[int, ShardView], changed: frozenset[int]) -> None:
            for shard_id in sorted(changed):
                if unread.qsize() >= MAX_UNREAD:
                    stop()
                    unread.put_nowait(None)
                    return
                unread.put_nowait(now[shard_id].model_dump(mode="json"))

        stop = self.listen(listener)
        try:
            for view in views(self._host):
                yield view.model_dump(mode="json")
            while (change := await unread.get()) is not None:
                yield change
        finally:
            stop()

    def _look(self) -> None:
        now = {view.shard_id: view for view in views(self._host)}
        changed = frozenset(shard_id for shard_id, view in now.items() if _differs(view, self._seen.get(shard_id)))
        self._seen = now
        for listener in tuple(self._listeners):
            listener(now, changed)


def _differs(view: ShardView, before: ShardView | None) -> bool:
    return before is None or any(getattr(view, name) != getattr(before, name) for name in _COMPARED)
