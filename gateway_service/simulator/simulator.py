"""The façade: one simulated Discord with its REST API, its gateway, its traffic and its faults."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

from gateway_service.simulator.config import SimulatorConfig
from gateway_service.simulator.corpus import Played, play
from gateway_service.simulator.endpoints import ScriptedAnswer
from gateway_service.simulator.faults import (
    Abort,
    AskReconnect,
    CloseWith,
    Fault,
    Freeze,
    InvalidateSession,
    LoseIntents,
    Moment,
)
from gateway_service.simulator.gateway import GatewayServer
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.registry import SentCount, SentRange, task_ids
from gateway_service.simulator.rest import RestServer
from gateway_service.simulator.strikes import Striker
from gateway_service.simulator.traffic import MESSAGES, BackgroundTraffic, Traffic
from gateway_service.simulator.transcript import Transcript

_POLL_S: Final = 0.005


class Simulator:
    """A Discord on loopback; an asynchronous context manager that runs in the caller's event loop.

    ``async with Simulator(SimulatorConfig(shards=2, guilds=20)) as sim: ...``
    """

    def __init__(self, config: SimulatorConfig | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config or SimulatorConfig()
        self._hub = Hub(self.config, clock)
        self._gateway = GatewayServer(self._hub)
        self._striker = Striker(self._hub, self._gateway)
        self._background = BackgroundTraffic(self._hub)
        self._rest = RestServer(self._hub, self._gateway, self._background)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._gateway)
        await self._stack.enter_async_context(self._rest)
        self._stack.push_async_callback(self._background.stop)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    # Where to connect.

    @property
    def api_url(self) -> str:
        return self._rest.url

    @property
    def gateway_url(self) -> str:
        return self._gateway.url

    @property
    def resume_gateway_url(self) -> str:
        return self._hub.resume_url

    @property
    def token(self) -> str:
        return self.config.token

    # What is there.

    @property
    def hub(self) -> Hub:
        """The state behind the sockets: world, sessions, limits."""
        return self._hub

    @property
    def guild_ids(self) -> list[int]:
        return list(self._hub.world.guild_ids)

    @property
    def transcript(self) -> Transcript:
        return self._hub.transcript

    @property
    def presences(self) -> Mapping[int, Mapping[str, Any]]:
        """The last presence that each shard has set, by shard id."""
        return self._hub.presences

    def connected_shards(self) -> set[tuple[int, int]]:
        """Return ``(shard_id, num_shards)`` of every session that has a connection."""
        return {(s.shard_id, s.num_shards) for s in self._hub.sessions if s.listener is not None}

    async def wait_for_shards(self, shard_ids: Iterable[int], *, timeout_s: float = 60.0) -> None:
        """Wait until these shards have a session, a connection and everything that was dispatched.

        Raises:
            TimeoutError: They had not within ``timeout_s``.
        """
        wanted = set(shard_ids)
        async with asyncio.timeout(timeout_s):
            while not wanted <= self._caught_up_shards():  # events would slow the hot path
                await asyncio.sleep(_POLL_S)

    def _caught_up_shards(self) -> set[int]:
        return {s.shard_id for s in self._hub.sessions if s.listener is not None and s.cursor == s.last_seq}

    # What is dispatched.

    def emit(self, event: str, data: Any = None, guild_id: int | None = None) -> int:
        """Dispatch one event and return how many sessions it went to.

        Args:
            event: ``t``.
            data: ``d``; generated when None. A ``d`` of null is sent by :meth:`emit_raw`.
            guild_id: Whose shard gets it; read from ``data`` when None, and shard 0 when there is none.

        Raises:
            KeyError: ``data`` is None and this event is not generated.
        """
        return self._hub.generate(event, guild_id) if data is None else self._hub.dispatch(event, data, guild_id)

    def emit_raw(self, event: str, text: bytes, guild_id: int | None = None) -> int:
        """Dispatch the JSON text of ``d`` byte for byte, whatever the intents are."""
        return sum(
            1 for session in self._hub.sessions.owners(guild_id) if session.append(event, text, self._hub.clock())
        )

    async def traffic(
        self,
        rate: float | None = None,
        total: int | None = None,
        *,
        seconds: float | None = None,
        mix: Mapping[str, int] = MESSAGES,
    ) -> int:
        """Dispatch generated events over all guilds and return how many; endless without a bound.

        Args:
            rate: Events per second; None for as many as the clients read.
            total: How many.
            seconds: How long.
            mix: Weight of each event.
        """
        return await Traffic(self._hub, mix).run(rate=rate, total=total, seconds=seconds)

    def start_traffic(
        self, rate: float | None = None, total: int | None = None, *, mix: Mapping[str, int] = MESSAGES
    ) -> None:
        """Begin traffic in the background, in place of the present one."""
        self._background.start(rate=rate, total=total, mix=mix)

    async def stop_traffic(self) -> None:
        await self._background.stop()

    def corpus(self, directory: Path) -> list[Played]:
        """Dispatch every line of every ``*.jsonl``, ``d`` byte for byte, and return what went where."""
        return play(directory, self._hub)

    # What was sent.

    @property
    def sent(self) -> SentCount:
        """How many dispatches went on a wire for the first time, in total and by event."""
        return self._hub.sessions.sent

    def sent_ranges(self) -> list[SentRange]:
        """Return, for every session there ever was, the range of dispatches put on a wire."""
        return self._hub.sessions.sent_ranges()

    def sent_ids(self) -> set[str]:
        """Return the task ids of all dispatches put on a wire at least once."""
        return task_ids(self._hub.sessions.sent_ranges())

    def dispatched_ids(self) -> set[str]:
        """Return the task ids that must arrive in the end: also what waits for a RESUME."""
        return task_ids(self._hub.sessions.dispatched_ranges())

    # What goes wrong.

    def inject(self, fault: Fault, shard_id: int | None = None) -> int:
        """Let a fault strike now, one shard or all; return how many connections or sessions it struck."""
        return self._striker.inject(fault, shard_id)

    def arm(
        self,
        fault: Fault,
        moment: Moment,
        *,
        shard_id: int | None = None,
        host: str | None = None,
        times: int = 1,
        after: int = 1,
    ) -> None:
        """Let a fault strike at a coming moment; see :meth:`FaultPlan.arm`."""
        self._striker.arm(fault, moment, shard_id=shard_id, host=host, times=times, after=after)

    def disarm(self) -> None:
        """Forget the faults that have not struck yet."""
        self._hub.faults.disarm()

    def op7(self, shard_id: int | None = None) -> int:
        return self.inject(AskReconnect(), shard_id)

    def op9(self, shard_id: int | None = None, *, resumable: bool = False) -> int:
        return self.inject(InvalidateSession(resumable), shard_id)

    def close(self, shard_id: int | None = None, code: int = 4000) -> int:
        return self.inject(CloseWith(code), shard_id)

    def abort(self, shard_id: int | None = None) -> int:
        return self.inject(Abort(), shard_id)

    def freeze(self, shard_id: int | None = None) -> int:
        return self.inject(Freeze(), shard_id)

    def lose_intents(self, shard_id: int | None = None, *, kept: int = 0, until_resume: bool = False) -> int:
        return self.inject(LoseIntents(kept, until_resume), shard_id)

    def thaw(self, shard_id: int | None = None) -> None:
        """End the faults of connections that last."""
        self._striker.thaw(shard_id)

    async def move_gateway(self) -> None:
        """Serve the generic gateway at another address, which ``GET /gateway/bot`` names from now on."""
        await self._gateway.move()

    async def rolling_restart(self, *, every_s: float) -> None:
        """Ask one connection after the other to reconnect (op 7), as when Discord restarts its nodes."""
        for connection in self._gateway.connections():
            connection.inject(AskReconnect())
            await asyncio.sleep(every_s)

    def answer(self, path: str, answer: ScriptedAnswer, *, times: int = 1) -> None:
        """Answer the next ``times`` REST requests to ``path`` (``/gateway/bot``) with this."""
        self._rest.api.script(path, answer, times=times)
