"""``gateway-service ledger``."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from gateway_service.cli.flags import setting_flags
from gateway_service.cli.service import failures_as_json
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
_HEADINGS: Final = ("shard", "session", "received", "published", "waiting", "not sent", "missing", "gaps", "balance")
_LEFT: Final = frozenset({0, 1, len(_HEADINGS) - 1})
_SESSION_CHARS: Final = 8
_WRONG: Final = "WRONG"


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
@failures_as_json
def ledger(config_file: Path | None, *, as_json: bool, **flags: Any) -> int:
    """Prove, session by session, that nothing was lost.

    Tells whether it adds up, too. Only the state store is read, so it works while the service runs and while it does
    not. Each row is a session up to the sequence from which it would be resumed: received = published + waiting +
    not sent, and the sequence numbers say the same. --json splits these up; docs/reliability.md has the words.
    """
    from gateway_service.settings import load_options
    from gateway_service.state import Namespace, bot_id_of, open_state

    options = load_options(flags, os.environ, config_file)
    bot_id = bot_id_of(options.token.get_secret_value())
    state = open_state(options.state_url.get_secret_value(), Namespace(bot_id, 0), may_be_new=False)
    try:
        ledgers = state.ledgers()
    finally:
        state.close()
    if as_json:
        click.echo(_as_json(ledgers))
    else:
        _print_table(ledgers)
    return EX_REFUSED if any(each.faults() for each in ledgers) else 0


def _counts(each: SessionLedger) -> dict[str, int]:
    return {name: getattr(each, name) for name in _COLUMNS}


def _totals(ledgers: Sequence[SessionLedger]) -> dict[str, int]:
    return {name: sum(getattr(each, name) for each in ledgers) for name in _COLUMNS}


def _as_json(ledgers: Sequence[SessionLedger]) -> str:
    sessions = [{**dataclasses.asdict(each), "faults": each.faults()} for each in ledgers]
    is_balanced = not any(each.faults() for each in ledgers)
    return json.dumps({"balanced": is_balanced, "totals": _totals(ledgers), "sessions": sessions}, indent=2)


def _print_table(ledgers: Sequence[SessionLedger]) -> None:
    is_resharded = len({each.num_shards for each in ledgers}) > 1
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for each in ledgers:
        shard = f"{each.shard_id}/{each.num_shards}" if is_resharded else str(each.shard_id)
        rows.append((shard, each.session[:_SESSION_CHARS], *_figures(_counts(each)), _balance(each)))
    rows.append(("total", "", *_figures(_totals(ledgers)), ""))
    # No width of a terminal cuts anything off: what is piped to a file or a colleague is whole.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if number in _LEFT else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        click.secho(line, fg="red") if row[-1] == _WRONG else click.echo(line)
    click.echo()
    for each in ledgers:
        for told in (*each.faults(), *_losses(each)):
            click.echo(f"shard {each.shard_id}/{each.num_shards}, session {each.session}: {told}")
    click.echo(_verdict(ledgers))


def _figures(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what a person looks for first: is anything still to come, and did anything go astray?"""
    waiting = counts["spooled"] + counts["in_flight"]
    not_sent = counts["filtered"] + counts["given_up"] + counts["lost"]
    shown = counts["received"], counts["published"], waiting, not_sent, counts["missing"], counts["gaps"]
    return tuple(map(str, shown))


def _balance(each: SessionLedger) -> str:
    return _WRONG if each.faults() else "ended" if each.ended else "ok"


def _losses(each: SessionLedger) -> list[str]:
    """Return one sentence for what is behind the numbers, where something is."""
    counts = {"lost": each.lost, "given up": each.given_up, "missing": each.missing}
    behind = [f"{count} {name}" for name, count in counts.items() if count]
    if each.gaps:
        behind.append(f"{each.gaps} {'gap' if each.gaps == 1 else 'gaps'}")
    if not behind:
        return []
    return [", ".join(behind) + (f": {each.ended}" if each.ended else "")]


def _verdict(ledgers: Sequence[SessionLedger]) -> str:
    wrong = sum(bool(each.faults()) for each in ledgers)
    if wrong:
        return f"{wrong} of {len(ledgers)} sessions {'does' if wrong == 1 else 'do'} not balance."
    totals = _totals(ledgers)
    gaps = f", {totals['gaps']} told as GATEWAY_GAP" if totals["gaps"] else ""
    return f"All {len(ledgers)} sessions balance{gaps}."
