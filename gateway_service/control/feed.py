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

_COMPARED: Final = ("state", "since", "session", "reason", "process", "restarts")

Listener = Callable[[Mapping[int, ShardView], frozenset[int]], None]
"""Gets every shard by its id, and the ids of those that changed since the last time."""


class Feed:
    """Looks at the shards for as long as somebody wants to know, and tells who listens what changed."""

    def __init__(self, host: Host, poll_s: float = POLL_S) -> None:
        self._host = host
        self._poll_s = poll_s
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
            await asyncio.sleep(max(self._poll_s, (time.process_time() - began) / _CPU_SHARE))

    async def changes(self, keep_alive_s: float) -> AsyncIterator[dict[str, Any] | None]:
        """Yield every shard once, then those that changed, and None when none did for so long.

        A slow reader misses states that have passed, never the last: of each shard the newest state waits, and no more.
        """
        unread: dict[int, ShardView] = {}
        has_unread = asyncio.Event()

        def listener(now: Mapping[int, ShardView], changed: frozenset[int]) -> None:
            unread.update((shard_id, now[shard_id]) for shard_id in changed)
            if changed:
                has_unread.set()

        now = views(self._host)
        for view in now:
            self._seen.setdefault(view.shard_id, view)
        stop = self.listen(listener)
        try:
            for view in now:
                yield view.model_dump(mode="json")
            while True:
                try:
                    async with asyncio.timeout(keep_alive_s):
                        await has_unread.wait()
                except TimeoutError:
                    yield None
                has_unread.clear()
                while unread:
                    yield unread.pop(min(unread)).model_dump(mode="json")
        finally:
            stop()

    def _look(self) -> None:
        now = {view.shard_id: view for view in views(self._host)}
        changed = frozenset(shard_id for shard_id, view in now.items() if _differs(view, self._seen.get(shard_id)))
        self._seen = now
        for listener in tuple(self._listeners):
            listener(now, changed)


def _differs(view: ShardView, before: ShardView | None) -> bool:
    return before is not None and any(getattr(view, name) != getattr(before, name) for name in _COMPARED)
