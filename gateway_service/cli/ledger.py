"""``gateway-service ledger``."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from gateway_service.cli.flags import setting_flags
from gateway_service.errors import EX_REFUSED
from gateway_service.protocol.ledger import SessionLedger

_COLUMNS: Final = (
    "received",
    "published",
    "filtered",
    "given_up",
    "spooled",
    "in_flight",
    "lost",
    "missing",
    "replayed",
    "duplicates",
    "gaps",
)


@click.command(
    epilog="""\b
Examples:
  gateway-service ledger                         every session that the state store knows
  gateway-service ledger --json | jq .balanced

\b
Exit codes: 0 everything balances, 1 something does not, 69 the state store cannot be read, 78 a setting is wrong.
"""
)
@setting_flags
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ledger(config_file: Path | None, *, as_json: bool, **flags: Any) -> int:
    """Prove, session by session, that nothing was lost.

    Tells whether it adds up, too. Only the state store is read, so it works while the service runs and while it does
    not. Each row is a session up to the sequence from which it would be resumed: received = published + filtered +
    given up + spooled + in flight + lost, and the sequence numbers say the same. docs/reliability.md has the columns.
    """
    from gateway_service.settings import load_options
    from gateway_service.state import Namespace, bot_id_of, open_state

    options = load_options(flags, os.environ, config_file)
    bot_id = bot_id_of(options.token.get_secret_value())
    state = open_state(options.state_url.get_secret_value(), Namespace(bot_id, 0))
    try:
        ledgers = state.ledgers()
    finally:
        state.close()
    if as_json:
        click.echo(_as_json(ledgers))
    else:
        _print_table(ledgers)
    return EX_REFUSED if any(each.faults() for each in ledgers) else 0


def _totals(ledgers: Sequence[SessionLedger]) -> dict[str, int]:
    return {name: sum(getattr(each, name) for each in ledgers) for name in _COLUMNS}


def _as_json(ledgers: Sequence[SessionLedger]) -> str:
    sessions = [{**dataclasses.asdict(each), "faults": each.faults()} for each in ledgers]
    is_balanced = not any(each.faults() for each in ledgers)
    return json.dumps({"balanced": is_balanced, "totals": _totals(ledgers), "sessions": sessions}, indent=2)


def _print_table(ledgers: Sequence[SessionLedger]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("shard", "session", "seq"):
        table.add_column(name)
    for name in _COLUMNS:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("balance")
    for each in ledgers:
        numbers = [str(getattr(each, name)) for name in _COLUMNS]
        state = "[red]does not balance[/red]" if each.faults() else "ended" if each.ended else "[green]ok[/green]"
        shard = f"{each.shard_id}/{each.num_shards}"
        table.add_row(shard, each.session, f"{each.first_seq}-{each.seq}", *numbers, state)
    table.add_section()
    totals = _totals(ledgers)
    table.add_row("total", f"{len(ledgers)} sessions", "", *(str(totals[name]) for name in _COLUMNS), "", style="bold")
    console = Console()
    console.print(table)
    for each in ledgers:
        for fault in each.faults():
            console.print(f"shard {each.shard_id}/{each.num_shards}, session {each.session}: {fault}", style="red")
        if each.gaps:
            why = f": {each.ended}" if each.ended else ""
            console.print(f"shard {each.shard_id}/{each.num_shards}, session {each.session}: {each.gaps} gaps{why}")
