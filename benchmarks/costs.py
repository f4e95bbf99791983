"""What a failure cost, and the table of it in docs/reliability.md."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True)
class Cost:
    """One line of the table."""

    failure: str
    lasted_s: float
    """How long the failure itself took, until whatever was stopped was started again."""
    delay_s: float
    """The longest time between a dispatch and its arrival in the queue."""
    replayed: int
    """Dispatches that Discord sent on RESUME and that were not here yet."""
    twice: int
    """Dispatches that came into the queue again."""
    identifies: int
    gaps: int
    """GATEWAY_GAP messages."""
    missed: int
    """Dispatches for which Discord had no session of ours."""


_HEADINGS: Final = {
    "failure": "failure",
    "lasted_s": "lasts",
    "delay_s": "longest delay",
    "replayed": "replayed",
    "twice": "twice",
    "identifies": "IDENTIFYs",
    "gaps": "gaps",
    "missed": "missed",
}
_SECONDS: Final = frozenset({"lasted_s", "delay_s"})


def as_markdown(costs: Sequence[Cost]) -> str:
    """Return the table of docs/reliability.md."""
    lines = ["| " + " | ".join(_HEADINGS.values()) + " |", "|---" * len(_HEADINGS) + "|"]
    for cost in costs:
        cells = [f"{value:.1f} s" if name in _SECONDS else str(value) for name, value in asdict(cost).items()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each number over the rounds of one failure."""
    rows = [list(asdict(cost).values())[1:] for cost in costs]
    return Cost(costs[0].failure, *map(statistics.median_high, zip(*rows, strict=True)))
