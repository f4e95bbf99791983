"""What ``dev`` shows: shards, rates, totals and the addresses to open."""

import time
from collections import deque
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway_service.dev.stack import DevStack, Totals

_RATE_WINDOW_S: Final = 5.0
_STATE_STYLES: Final = {"live": "green", "stopped": "red", "FATAL": "red"}


class Rates:
    """Dispatches per second over the last few seconds, from growing totals."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Totals]] = deque()

    def add(self, now: float, totals: Totals) -> None:
        self._samples.append((now, totals))
        while now - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()

    def of(self, name: str) -> float:
        """Return how fast the total called ``name`` grows."""
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        if last_at == first_at:
            return 0.0
        return float(getattr(last, name) - getattr(first, name)) / (last_at - first_at)


class StatusView:
    """Renders a :class:`DevStack`; call it as often as the screen shall change."""

    def __init__(self, stack: DevStack) -> None:
        self._stack = stack
        self._rates = Rates()

    def __call__(self) -> RenderableType:
        totals = self._stack.totals()
        self._rates.add(time.monotonic(), totals)
        return Group(self._shards(), self._counts(totals), self._addresses())

    def _shards(self) -> Table:
        table = Table(title="Shards", title_justify="left", expand=False)
        for heading in ("shard", "state", "latency", "guilds", "received", "published", "lag", "resumes"):
            table.add_column(heading, justify="left" if heading == "state" else "right")
        for shard in self._stack.supervisor.snapshot().shards:
            latency = "" if shard.latency_s is None else f"{shard.latency_s * 1000:.0f} ms"
            table.add_row(
                str(shard.shard_id),
                Text(shard.state, style=_STATE_STYLES.get(shard.state, "yellow")),
                latency,
                str(shard.guilds),
                str(shard.received),
                str(shard.published),
                str(shard.pending + shard.spool_rows),
                str(shard.resumes),
            )
        return table

    def _counts(self, totals: Totals) -> Table:
        table = Table(title="Dispatches", title_justify="left", expand=False)
        for heading in ("", "total", "per second"):
            table.add_column(heading, justify="left" if not heading else "right")
        for name in ("sent", "published", "executed"):
            table.add_row(name, f"{getattr(totals, name):,}", f"{self._rates.of(name):,.0f}")
        table.add_row("on the way", f"{totals.pending:,}", "")
        table.add_row("duplicates", f"{totals.duplicates:,}", "")
        return table

    def _addresses(self) -> Text:
        directory = self._stack.directory
        return Text.assemble(
            ("Flower     ", "bold"), f"http://127.0.0.1:{self._stack.flower_port}\n",
            ("API        ", "bold"), f"http://{self._stack.control_address}/docs\n",
            ("Discord    ", "bold"), f"{self._stack.simulator.api_url}  (simulated)\n",
            ("broker     ", "bold"), f"{self._stack.broker.url}\n",
            ("logs       ", "bold"), f"{directory / 'service.log'}, {directory / 'worker.log'}\n",
            ("Ctrl-C stops everything", "dim"),
        )  # fmt: skip
