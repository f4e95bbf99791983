"""``python -m benchmarks NAME``: run a benchmark and print its figures."""

import asyncio
import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import gateway as gateway_benchmark


@click.group()
def main() -> None:
    """Measure speed on this machine. Every figure is a median; every ratio comes from one run."""


@main.command()
@click.option("--rounds", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--events", type=click.IntRange(500, 1_000_000), default=20_000, show_default=True, help="Per round.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def gateway(*, rounds: int, events: int, as_json: bool) -> None:
    """CPU per event from the socket to the broker's confirm, against the naive way and discord.py."""
    console = Console(stderr=True)
    with console.status("starting") as status:
        result = asyncio.run(gateway_benchmark.measure(rounds=rounds, events=events, progress=status.update))
    if as_json:
        click.echo(json.dumps(result))
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    table = Table(title=f"CPU per event, median of {result['rounds']} rounds", title_justify="left")
    for heading in ("", "µs per event", "min", "max", "events/s"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, figure in result["figures"].items():
        cells = (figure["cpu_us_per_event"], figure["min"], figure["max"], f"{figure['events_per_s']:,}")
        table.add_row(name, *map(str, cells))
    console = Console()
    console.print(table)
    for name, ratio in result["ratios"].items():
        console.print(f"{name}: {ratio:.3f} (1/{1 / ratio:.1f})")


if __name__ == "__main__":
    main()
