"""Our own shard against one simulator: the machine and the driver of production, and a broker that confirms at once."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from gateway_service.connection import Driver
from gateway_service.contract import session_hash, task_id_for
from gateway_service.protocol.constants import ALL_INTENTS, RESUMABLE_CLOSE_CODE, Compression
from gateway_service.protocol.effects import Deliver, NoteName, SessionForgotten
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State
from gateway_service.simulator import Simulator

_SEED: Final = 7


class Client:
    """One shard; remembers what it delivered and what it noted."""

    def __init__(self, sim: Simulator, *, shard_id: int, num_shards: int, compression: Compression) -> None:
        self.machine = Machine(
            shard_id=shard_id,
            num_shards=num_shards,
            token=sim.token,
            intents=int(ALL_INTENTS),
            compression=compression,
            gateway_url=sim.gateway_url,
            rng=random.Random(_SEED + shard_id).random,
        )
        self._sim = sim
        self.driver = Driver(self.machine, self)
        self.delivered: Counter[str] = Counter()
        """How often each task id was delivered."""
        self.told: set[str] = set()
        """Task ids that were told to be missing."""
        self.kinds: Counter[str | None] = Counter()
        self.notes: Counter[str] = Counter()
        self.stopped_with: int | None = None
        self.session = ""
        """Public name of the present session."""

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.driver.run(), name=f"conformance-shard-{self.machine.shard_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running.done():
            self._running.result()
        await self.driver.finish(RESUMABLE_CLOSE_CODE)
        self._running.cancel()
        await asyncio.wait([self._running])

    @property
    def is_live(self) -> bool:
        return self.machine.state is State.LIVE

    @property
    def is_stopped(self) -> bool:
        return self.machine.state is State.STOPPED

    # What the driver needs.

    def deliver(self, dispatch: Deliver) -> None:
        self.delivered[task_id_for(self.session, dispatch.seq)] += 1
        self.kinds[dispatch.kind] += 1
        self.machine.published(dispatch.seq)

    def request_permit(self) -> None:
        asyncio.get_running_loop().call_soon(self.driver.grant_permit, None)

    def cancel_permit(self) -> None:
        pass

    def request_gateway_url(self) -> None:
        self.machine.gateway_url = self._sim.gateway_url

    def identify_sent(self) -> None:
        pass

    def identify_answered(self) -> None:
        pass

    def session_opened(self, session: Session) -> None:
        self.session = session_hash(session.session_id)

    def session_forgotten(self, _forgotten: SessionForgotten, /) -> None:
        pass

    def stopped(self, code: int | None, reason: str) -> None:  # noqa: ARG002 - the port's signature
        self.stopped_with = code

    def note(self, name: NoteName, fields: Mapping[str, Any]) -> None:
        self.notes[name] += 1
        if name == "dispatch.gap":
            self.told.update(task_id_for(self.session, seq) for seq in range(fields["expected"], fields["seq"]))

    def state_changed(self) -> None:
        pass
