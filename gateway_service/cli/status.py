"""What a running service tells: ``gateway-service status``, ``shards``, ``processes`` and ``budget``."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway_service.cli.service import EXIT_CODES, Answer, Caller, for_service, printable
from gateway_service.errors import EX_OK, EX_REFUSED
from gateway_service.supervisor.plan import as_ranges

_STYLES: Final = {"live": "green", "RUNNING": "green", "stopped": "red", "FATAL": "red"}
_LEFT: Final = frozenset({"host", "state", "rung", "session", "broker", "last exit", "reason"})

Cells = Sequence[str | Text]


@click.command(
    epilog=f"""\b
Examples:
  gateway-service status            a table that follows the service until Ctrl-C
  gateway-service status --once     the same, once
  gateway-service status --json | jq '.result.shards[] | select(.state != "live")'

{EXIT_CODES}
"""
)
@click.option("--once", is_flag=True, help="Print once and end.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@for_service
def status(caller: Caller, *, once: bool, interval_s: float) -> int:
    """Watch the shards of a running service."""
    answer = caller.ask("shards")
    if caller.as_json:
        return caller.say(answer, "")
    view = StatusView()

    def look(answer: Answer) -> RenderableType:
        return view(answer, caller.ask("identify_budget")["result"], time.time())

    if once or not caller.console.is_terminal:
        caller.console.print(look(answer))
        return EX_REFUSED if answer["failures"] else EX_OK
    with Live(look(answer), console=caller.console, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval_s)
            live.update(look(caller.ask("shards")), refresh=True)


class StatusView:
    """Renders answers of ``shards``, with the rate of dispatches between the last two, and the identify budget."""

    def __init__(self) -> None:
        self._before: tuple[float, Mapping[int, int]] | None = None

    def __call__(self, answer: Answer, budget: Mapping[str, Any], now: float) -> RenderableType:
        """Return what to show at ``now``, in UNIX seconds."""
        shards = answer["result"]["shards"]
        rates = self._rates({shard["shard_id"]: shard["received"] for shard in shards}, now)
        live = sum(shard["state"] == "live" for shard in shards)
        rate = f"{sum(rates.values()):,.0f} events/s, " if rates else ""  # of which one look knows nothing
        summary = (
            f"{live} of {answer['result']['num_shards']} shards live, "
            f"{sum(shard['guilds'] for shard in shards):,} guilds, "
            f"{rate}lag {sum(shard['lag'] for shard in shards):,}"
        )
        # A terminal of 80 columns has no room for what is the same in each line, and hosts matter more than resumes.
        has_hosts = len({shard["host"] for shard in shards}) > 1
        headings = ("shard", "state", "rung", "latency", "guilds", "events/s", "lag", "age")
        table = _table(
            (*headings, *(("restarts", "host") if has_hosts else ("resumes", "restarts"))),
            [
                (
                    str(shard["shard_id"]),
                    _state(shard["state"]),
                    shard["rung"],
                    _ms(shard["latency_s"]),
                    f"{shard['guilds']:,}",
                    f"{rates[shard['shard_id']]:,.0f}" if shard["shard_id"] in rates else "",
                    f"{shard['lag']:,}",
                    _age(shard["session_since"], now),
                    *([] if has_hosts else [str(shard["resumes"])]),
                    str(shard["restarts"]),
                    *([_host(shard["host"])] if has_hosts else []),
                )
                for shard in shards
            ],
        )
        unrouted = ", ".join(f"{event} {count:,}" for event, count in answer["result"].get("unrouted", {}).items())
        unwanted = [Text(f"nobody subscribed to: {printable(unrouted)}", style="yellow")] if unrouted else []
        missing = [
            Text(f"{failure['code']}: {printable(failure['message'])}", style="red") for failure in answer["failures"]
        ]
        reasons = [Text(line, style="yellow") for line in _reasons(shards)]
        return Group(Text(summary, style="bold"), table, *reasons, *unwanted, *missing, _forecast(budget))

    def _rates(self, received: Mapping[int, int], now: float) -> dict[int, float]:
        before, self._before = self._before, (now, received)
        if before is None or now <= before[0]:
            return {}
        seconds = now - before[0]
        return {
            shard_id: max(0, count - before[1].get(shard_id, count)) / seconds for shard_id, count in received.items()
        }


@click.command(
    epilog=f"""\b
Examples:
  gateway-service shards            all of them
  gateway-service shards 3 --json   one, as its own host tells it

{EXIT_CODES}
"""
)
@click.argument("shard_id", type=click.IntRange(min=0), required=False)
@for_service
def shards(caller: Caller, *, shard_id: int | None) -> int:
    """List the shards of a running service."""
    answer = caller.ask("shards") if shard_id is None else caller.ask("shard", shard_id=shard_id)
    result = answer["result"]
    rows = [
        (
            str(shard["shard_id"]),
            _host(shard["host"]),
            str(shard["process"]),
            _state(shard["state"]),
            shard["session"] or "",
            str(shard["received_seq"] or ""),
            str(shard["published_seq"] or ""),
            shard["reason"] or "",
        )
        for shard in (result["shards"] if shard_id is None else [result["shard"]])
    ]
    headings = ("shard", "host", "process", "state", "session", "received seq", "published seq", "reason")
    return _list(caller, answer, headings, rows)


@click.command(epilog=EXIT_CODES)
@for_service
def processes(caller: Caller) -> int:
    """List the shard processes of a running service."""
    answer = caller.ask("processes")
    rows = [
        (
            str(process["index"]),
            _host(process["host"]),
            _state(process["state"]),
            str(process["pid"] or ""),
            as_ranges(process["shard_ids"]),
            (process["status"] or {}).get("broker", ""),
            (process["status"] or {}).get("rung", ""),
            str(process["restarts"]),
            process["last_exit"] or "",
        )
        for process in answer["result"]["processes"]
    ]
    headings = ("process", "host", "state", "pid", "shards", "broker", "rung", "restarts", "last exit")
    return _list(caller, answer, headings, rows)


@click.command(epilog=EXIT_CODES)
@for_service
def budget(caller: Caller) -> int:
    """Tell how many IDENTIFYs are left."""
    answer = caller.ask("identify_budget")
    result = answer["result"]
    waiting = f"{result['waiting']} shards wait for one"
    if result["held"]:
        not_before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(result["next_at"]))
        waiting += f", {result['held']} of them until {not_before} at least (status says why)"
    return caller.say(answer, f"{_forecast(result)}\n{waiting}; the breaker is {result['breaker']}")


def _forecast(budget: Mapping[str, Any]) -> Text:
    """Return what is left, and whether every shard could begin anew."""
    verdict = "yes" if budget["can_restart_all"] else "no"
    return Text(
        f"{budget['remaining']} of {budget['total']} IDENTIFYs left ({budget['reserve']} in reserve); "
        f"full restart affordable: {verdict}",
        style="" if budget["can_restart_all"] else "yellow",
    )


def _reasons(shards: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return why shards are not live, one line for each reason."""
    by_reason: dict[str, list[int]] = {}
    for shard in shards:
        if shard["reason"]:
            by_reason.setdefault(shard["reason"], []).append(shard["shard_id"])
    return [f"shard {as_ranges(ids)}: {printable(reason)}" for reason, ids in by_reason.items()]


def _list(caller: Caller, answer: Answer, headings: Sequence[str], rows: Iterable[Cells]) -> int:
    if not caller.as_json:
        caller.console.print(_table(headings, rows))
    return caller.say(answer, "")


def _table(headings: Sequence[str], rows: Iterable[Cells]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in _LEFT else "right", overflow="fold")
    for row in rows:
        # What Discord or a broker said may look like rich's markup, or like a command to the terminal.
        table.add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def _host(node: str) -> str:
    return node.removeprefix("gateway@")


def _state(state: str) -> Text:
    return Text(printable(state), style=_STYLES.get(state, "yellow"))


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


def _age(since: float | None, now: float) -> str:
    """Return how long ago something began, in the two largest of days, hours, minutes and seconds: ``3d04h``."""
    if since is None:
        return ""
    minutes, seconds = divmod(max(0, int(now - since)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s"
