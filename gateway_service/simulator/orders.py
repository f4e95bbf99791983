"""What shall happen: a fault, whom it strikes, and when. The form of scenario steps and of the control port."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from gateway_service.simulator.faults import OWN_MOMENT, Fault, Moment
from gateway_service.simulator.plan import moments_of
from gateway_service.simulator.verbs import VERBS, fault_of, suggestion

THAW: Final = "thaw"
_KEYS: Final = ("do", "shard", "shards", "every_s", "when", "host", "times", "after")


class Discord(Protocol):
    """What an order needs of a simulator."""

    def inject(self, fault: Fault, shard_id: int | None = None) -> int: ...
    def thaw(self, shard_id: int | None = None) -> None: ...
    def arm(
        self, fault: Fault, moment: Moment, *, shard_id: int | None, host: str | None, times: int, after: int
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One fault for one shard, several or all of them."""

    fault: Fault | None
    """None ends the faults that last."""
    shards: tuple[int, ...] | None = None
    """None strikes all at once."""
    every_s: float = 0.0
    """Pause between one shard and the next."""
    when: Moment | None = None
    """Armed for this moment; None strikes at once."""
    host: str | None = None
    times: int = 1
    after: int = 1

    @classmethod
    def parse(cls, order: Mapping[str, Any]) -> Self:
        """Read ``{"do": "close", "code": 4009, "shard": 0, "when": "resume"}``.

        Raises:
            ValueError: Something in it is unknown or wrong; the message is one sentence.
        """
        verb = str(order.get("do", ""))
        if not verb:
            raise ValueError(f"'do' must name a fault: {', '.join([*VERBS, THAW])}")
        arguments = {name: value for name, value in order.items() if name not in _KEYS}
        fault = None if verb == THAW and not arguments else fault_of(verb, arguments)
        parsed = cls(
            fault=fault,
            shards=_shards(order),
            every_s=number(order, "every_s", 0.0),
            when=_moment(order, fault),
            host=_text(order, "host"),
            times=int(number(order, "times", 1)),
            after=int(number(order, "after", 1)),
        )
        if fault is not None and parsed.when is not None and parsed.when not in moments_of(fault):
            possible = ", ".join(sorted(moments_of(fault)))
            raise ValueError(f"{verb} cannot wait for {parsed.when.value!r}; it {_waits_for(possible)}")
        return parsed

    async def perform(self, discord: Discord) -> int:
        """Do it, and return how many connections or sessions were struck."""
        struck = 0
        for index, shard_id in enumerate(self.shards or (None,)):
            if index and self.every_s:
                await asyncio.sleep(self.every_s)
            struck += self._perform_one(discord, shard_id)
        return struck

    def _perform_one(self, discord: Discord, shard_id: int | None) -> int:
        if self.fault is None:
            discord.thaw(shard_id)
            return 0
        if self.when is None:
            return discord.inject(self.fault, shard_id)
        discord.arm(self.fault, self.when, shard_id=shard_id, host=self.host, times=self.times, after=self.after)
        return 0


def _shards(order: Mapping[str, Any]) -> tuple[int, ...] | None:
    if "shard" in order and "shards" in order:
        raise ValueError("give 'shard' or 'shards', not both")
    value = order.get("shards", order.get("shard"))
    if value is None or value == "all":
        return None
    ids = value if isinstance(value, list) else [value]
    if not ids or not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in ids):
        raise ValueError(f"'shards' must be 'all', a shard id or a list of them, not {value!r}")
    return tuple(ids)


def _moment(order: Mapping[str, Any], fault: Fault | None) -> Moment | None:
    value = order.get("when")
    if value is None:
        return OWN_MOMENT.get(type(fault))
    try:
        return Moment(value)
    except ValueError:
        known = [moment.value for moment in Moment]
        raise ValueError(
            f"unknown moment {value!r}{suggestion(str(value), known)}; known are {', '.join(known)}"
        ) from None


def number(order: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    """Return a number of an order.

    Raises:
        ValueError: It is none, or below 0.
    """
    value = order.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name!r} must be a number of at least 0, not {value!r}")
    return value


def _text(order: Mapping[str, Any], name: str) -> str | None:
    value = order.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name!r} must be a text, not {value!r}")
    return value


def _waits_for(possible: str) -> str:
    return f"waits for {possible}" if possible else "strikes at once"
