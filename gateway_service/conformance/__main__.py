"""Entry point of the conformance run."""

import json
import logging
import sys
import time
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from gateway_service.conformance.run import CASES, Row, run
from gateway_service.errors import EX_OK


@click.command()
@click.option("--only", multiple=True, metavar="F6", help="Only this fault; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def main(only: tuple[str, ...], *, as_json: bool) -> None:
    """Play every fault of the simulator against our own shard; exit 1 when a reaction is not the expected one."""
    faults = {case.fault for case in CASES}
    if unknown := set(only) - faults:
        raise click.UsageError(f"--only: no fault {', '.join(sorted(unknown))}; known are F1 to F{len(faults)}")
    logging.getLogger("gateway_service.simulator").setLevel(logging.CRITICAL)  # cut handshakes are the point
    started_at = time.monotonic()
    rows = run([case for case in CASES if not only or case.fault in only])
    if as_json:
        click.echo(json.dumps([{**asdict(row), "ok": row.ok} for row in rows]))
    else:
        _show(rows, time.monotonic() - started_at)
    sys.exit(EX_OK if all(row.ok for row in rows) else 1)


def _show(rows: list[Row], took_s: float) -> None:
    table = Table("fault", "case", "expected", "seen", "ok", caption=f"{len(rows)} reactions in {took_s:.0f} s")
    for row in rows:
        table.add_row(row.fault, row.case, row.expected, row.seen, "yes" if row.ok else "[bold red]NO[/]")
    Console().print(table)


if __name__ == "__main__":
    main()
