"""``python -m benchmarks NAME``: run a benchmark and print its figures."""

import asyncio
import json
import os
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import failures as failures_benchmark
from benchmarks import gateway as gateway_benchmark
from benchmarks import worker as worker_benchmark
from benchmarks.costs import as_markdown


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
    _show(result, "event", as_json=as_json)


@main.command()
@click.option("--rounds", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--tasks", type=click.IntRange(500, 100_000), default=5_000, show_default=True, help="Per round.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def worker(*, rounds: int, tasks: int, as_json: bool) -> None:
    """CPU per empty task from the broker to the acknowledgement, against stock Celery with solo and prefork pools."""
    console = Console(stderr=True)
    with console.status("starting") as status:
        result = worker_benchmark.measure(rounds=rounds, tasks=tasks, progress=status.update)
    _show(result, "task", as_json=as_json)


@main.command()
@click.option("--rounds", type=click.IntRange(1, 20), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of a table.")
def failures(*, rounds: int, as_json: bool) -> None:
    """What each failure costs a running bot, in seconds, repeats, IDENTIFYs and gaps; four minutes for each round.

    The table is the one of docs/reliability.md. A busy machine starts processes late, which is counted as delay.
    """
    load, *_ = os.getloadavg()
    console = Console(stderr=True)
    with console.status("starting") as status:
        costs = asyncio.run(failures_benchmark.measure(rounds, status.update))
    if as_json:
        click.echo(json.dumps([asdict(cost) for cost in costs]))
        return
    click.echo(as_markdown(costs))
    console.print(f"median of {rounds} rounds; the load of the machine was {load:.1f} before", highlight=False)


def _show(result: dict[str, Any], unit: str, *, as_json: bool) -> None:
    """Print figures and ratios.

    Args:
        result: What a benchmark measured.
        unit: What a figure is about; it names the keys of the figures.
        as_json: Print ``result`` as it is.
    """
    if as_json:
        click.echo(json.dumps(result))
        return
    table = Table(title=f"CPU per {unit}, median of {result['rounds']} rounds", title_justify="left")
    for heading in ("", f"µs per {unit}", "min", "max", f"{unit}s/s"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, figure in result["figures"].items():
        cells = (figure[f"cpu_us_per_{unit}"], figure["min"], figure["max"], f"{figure[f'{unit}s_per_s']:,}")
        table.add_row(name, *map(str, cells))
    console = Console()
    console.print(table)
    for name, ratio in result["ratios"].items():
        console.print(f"{name}: {ratio:.3f} (1/{1 / ratio:.1f})" if ratio < 1 else f"{name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
