"""One fault and how our shard has to react to it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from gateway_service.conformance.client import Client
from gateway_service.conformance.loop import until
from gateway_service.conformance.reaction import Reaction, seen
from gateway_service.protocol.constants import Compression
from gateway_service.simulator import Simulator, SimulatorConfig

_WAIT_S: Final = 240.0
_GUILDS: Final = 5
_INTERVAL_MS: Final = 20_000
_QUIET_S: Final = 3.0

Scene = tuple[Simulator, list[Client]]
Strike = Callable[[Simulator], Any]
Judge = Callable[[Simulator, Client], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fault, and what protocol.md says of it."""

    fault: str
    """F1 to F19."""
    name: str
    expected: Reaction
    before: Strike | None = None
    """What is armed before the shard connects."""
    strike: Strike | None = None
    """What strikes the live shard."""
    act: Callable[[Simulator, Client], Awaitable[None]] | None = None
    """What the operator does afterwards."""
    until: Judge = lambda _sim, _client: True
    """What else has to have happened."""
    config: Mapping[str, Any] = field(default_factory=dict)
    compression: Compression = "zstd-stream"
    shards: int = 1

    async def play(self) -> Reaction:
        """Play it and return what was seen."""
        settings: dict[str, Any] = {"guilds": _GUILDS, "identify_window_s": 0.0, "heartbeat_interval_ms": _INTERVAL_MS}
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            sim = await stack.enter_async_context(Simulator(SimulatorConfig(**{**settings, **self.config}), loop.time))
            if self.before is not None:
                self.before(sim)
            clients = [
                await stack.enter_async_context(
                    Client(sim, shard_id=shard_id, num_shards=self.shards, compression=self.compression)
                )
                for shard_id in range(self.shards)
            ]
            await self._play(sim, clients)
            return seen(sim, clients)

    async def _play(self, sim: Simulator, clients: Sequence[Client]) -> None:
        await until(lambda: _is_settled(sim, clients), within_s=_WAIT_S)
        if self.strike is not None:
            _talk(sim)
            self.strike(sim)
            _talk(sim)
        if self.act is not None:
            await until(lambda: _is_settled(sim, clients), within_s=_WAIT_S)
            await self.act(sim, clients[0])
        await until(lambda: self._has_reacted(sim, clients), within_s=_WAIT_S)
        _talk(sim)
        await until(lambda: _is_settled(sim, clients), within_s=_WAIT_S)
        await asyncio.sleep(_QUIET_S)  # a reaction that must not come has had its time

    def _has_reacted(self, sim: Simulator, clients: Sequence[Client]) -> bool:
        now = seen(sim, clients)
        reacted = now.resumes >= self.expected.resumes and now.session == self.expected.session
        return reacted and _is_settled(sim, clients) and all(self.until(sim, client) for client in clients)


def _is_settled(sim: Simulator, clients: Sequence[Client]) -> bool:
    """Tell whether every shard is live and has everything, or has stopped."""
    if any(client.is_stopped for client in clients):
        return True
    return all(client.is_live for client in clients) and not seen(sim, clients).lost


def _talk(sim: Simulator) -> None:
    for guild_id in sim.guild_ids:
        sim.emit("MESSAGE_CREATE", guild_id=guild_id)
