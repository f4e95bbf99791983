"""Scenario files: a day of Discord's life in YAML, played against whoever is connected."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import yaml

from gateway_service.simulator.orders import Discord, Order, number
from gateway_service.simulator.registry import SentCount

_POLL_S: Final = 0.02
_TRIGGERS: Final = ("at_s", "sent", "again_s", "repeats")


class Simulation(Discord, Protocol):
    """A simulator that tells how far it is."""

    @property
    def sent(self) -> SentCount: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One order and what it waits for."""

    order: Order
    at_s: float = 0.0
    """Seconds after the start."""
    sent: int = 0
    """Dispatches that were put on a wire before."""
    again_s: float = 0.0
    """Pause before it is done again."""
    repeats: int = 0
    """How often it is done again."""

    @classmethod
    def parse(cls, step: Mapping[str, Any]) -> Self:
        """Read one step.

        Raises:
            ValueError: Something in it is unknown or wrong; the message is one sentence.
        """
        numbers = {name: number(step, name) for name in _TRIGGERS}
        if numbers["repeats"] and not numbers["again_s"]:
            raise ValueError("'repeats' needs 'again_s', the seconds between one time and the next")
        return cls(
            order=Order.parse({name: value for name, value in step.items() if name not in _TRIGGERS}),
            at_s=numbers["at_s"],
            sent=int(numbers["sent"]),
            again_s=numbers["again_s"],
            repeats=int(numbers["repeats"]),
        )

    async def play(self, simulation: Simulation) -> None:
        """Wait for the step's time, then do it, as often as it says."""
        await asyncio.sleep(self.at_s)
        while simulation.sent.total < self.sent:
            await asyncio.sleep(_POLL_S)
        for turn in range(self.repeats + 1):
            if turn:
                await asyncio.sleep(self.again_s)
            await self.order.perform(simulation)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, every step on its own clock."""

    steps: tuple[Step, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a scenario file.

        Raises:
            ValueError: It is no YAML, or a step is wrong; the message has the file and the step.
        """
        try:
            content = yaml.safe_load(path.read_bytes())
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
        steps = content.get("steps") if isinstance(content, Mapping) else None
        if not isinstance(steps, list) or len(content) > 1:
            raise ValueError(f"{path}: a scenario has one key, 'steps', and a list of steps under it")
        parsed: list[Step] = []
        for index, step in enumerate(steps, start=1):
            try:
                parsed.append(Step.parse(step if isinstance(step, Mapping) else {"do": step}))
            except ValueError as error:
                raise ValueError(f"{path}: step {index}: {error}") from None
        return cls(tuple(parsed))

    async def play(self, simulation: Simulation) -> None:
        """Play every step, beside one another."""
        async with asyncio.TaskGroup() as tasks:
            for index, step in enumerate(self.steps, start=1):
                tasks.create_task(step.play(simulation), name=f"simulator-step-{index}")
