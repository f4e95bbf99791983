"""Generated traffic: a mix of events over the guilds, at a rate, as fast as the slowest session allows."""

import asyncio
import itertools
import random
from collections.abc import Mapping
from typing import Final

from gateway_service.simulator.hub import Hub
from gateway_service.simulator.payloads import GENERATED_EVENTS
from gateway_service.simulator.sessions import ENTRY_OVERHEAD_BYTES

MESSAGES: Final[Mapping[str, int]] = {"MESSAGE_CREATE": 1}
# Weights by impression of mid-sized communities, no measurement: presence and typing lead, joins are rare.
BUSY: Final[Mapping[str, int]] = {
    "PRESENCE_UPDATE": 35,
    "MESSAGE_CREATE": 25,
    "TYPING_START": 20,
    "MESSAGE_REACTION_ADD": 8,
    "VOICE_STATE_UPDATE": 4,
    "MESSAGE_UPDATE": 3,
    "GUILD_MEMBER_UPDATE": 2,
    "MESSAGE_DELETE": 1,
    "GUILD_MEMBER_ADD": 1,
    "INTERACTION_CREATE": 1,
}
MIXES: Final[Mapping[str, Mapping[str, int]]] = {"messages": MESSAGES, "busy": BUSY}

_TICK_S: Final = 0.005
_MAX_BURST: Final = 256
# Without a rate, a session this far behind stops the traffic until its client has read.
_UNPACED_BACKLOG: Final = 2000


class Pace:
    """How many dispatches a rate allows by now; a pause is made up for by no more than one burst."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._saved = 0.0
        self._updated_at = now

    def due(self, now: float) -> int:
        """Return how many whole dispatches are allowed."""
        self._saved = min(
            self._saved + (now - self._updated_at) * self._rate, max(_MAX_BURST, self._rate * _TICK_S * 2)
        )
        self._updated_at = now
        return int(self._saved)

    def spend(self, count: int) -> None:
        self._saved -= count


class Traffic:
    """Dispatches generated content to the shards of all guilds in turn."""

    def __init__(self, hub: Hub, mix: Mapping[str, int] = MESSAGES) -> None:
        if unknown := mix.keys() - GENERATED_EVENTS:
            raise ValueError(
                f"cannot generate {', '.join(sorted(unknown))}; known: {', '.join(sorted(GENERATED_EVENTS))}"
            )
        self._hub = hub
        self._rng = random.Random(hub.config.seed)
        self._events = self._rng.choices(list(mix), weights=list(mix.values()), k=997)
        self._turns = zip(itertools.cycle(self._events), itertools.cycle(self._guild_order()), strict=False)
        # With a rate, traffic goes on while a client is away or slow, and stops before its replay buffer could
        # drop anything: nothing generated is ever lost.
        buffered = hub.config.replay_max_bytes // (hub.config.message_bytes + ENTRY_OVERHEAD_BYTES)
        self._max_backlog = min(hub.config.replay_capacity, buffered) // 2
        self.dispatched = 0
        """Dispatches made for at least one session."""

    async def run(self, *, rate: float | None, total: int | None = None, seconds: float | None = None) -> int:
        """Dispatch until ``total`` or ``seconds`` is reached and return how many were dispatched.

        Args:
            rate: Dispatches per second over all shards; None for as many as the clients read.
            total: How many to dispatch. Those that no session wants are not counted.
            seconds: How long.
        """
        started_at = self._hub.clock()
        pace = None if rate is None else Pace(rate, started_at)
        max_backlog = min(self._max_backlog, _UNPACED_BACKLOG) if pace is None else self._max_backlog
        while total is None or self.dispatched < total:
            now = self._hub.clock()
            if seconds is not None and now - started_at >= seconds:
                break
            due = _MAX_BURST if pace is None else pace.due(now)
            if total is not None:
                due = min(due, total - self.dispatched)
            made = self._burst(min(due, _MAX_BURST), max_backlog)
            if pace is not None:
                pace.spend(made)
            await asyncio.sleep(0 if made and (pace is None or due > made) else _TICK_S)
        return self.dispatched

    def _burst(self, count: int, max_backlog: int) -> int:
        """Dispatch up to ``count`` and return how many reached a session."""
        sessions = self._hub.sessions
        sessions.expire(self._hub.clock())
        if sessions.backlog() > max_backlog:
            return 0
        made = 0
        for event, guild_id in itertools.islice(self._turns, count):
            made += self._hub.generate(event, guild_id) > 0
        self.dispatched += made
        return made

    def _guild_order(self) -> list[int | None]:
        order: list[int | None] = list(self._hub.world.guild_ids)
        self._rng.shuffle(order)
        return order or [None]


class BackgroundTraffic:
    """Traffic that goes on beside whatever else happens, one stream at a time."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._task: asyncio.Task[int] | None = None

    def start(self, *, rate: float | None, total: int | None = None, mix: Mapping[str, int] = MESSAGES) -> None:
        """Begin a stream in place of the present one; see :meth:`Traffic.run`."""
        if self._task is not None:
            self._task.cancel()
        stream = Traffic(self._hub, mix).run(rate=rate, total=total)
        self._task = asyncio.get_running_loop().create_task(stream, name="simulator-traffic")

    async def stop(self) -> None:
        """End the stream; an error that ended it before is raised here."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()
