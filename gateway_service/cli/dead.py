"""``gateway-service dead``: look at what ended in ``gateway.dead``, send it back or throw it away."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway_service.cli.service import failures_as_json, printable
from gateway_service.errors import EX_OK, EX_UNAVAILABLE
from gateway_service.settings import load_worker_options
from gateway_service.settings.table import CONFIG_ENV, CONFIG_FILE

if TYPE_CHECKING:
    from gateway_service.worker.dead_letters import DeadLetter, DeadLetters

_Function = TypeVar("_Function", bound=Callable[..., Any])

_DEFAULT_LIMIT: Final = 100


def _filters(function: _Function) -> _Function:
    """Add what narrows a selection; each is a part of the text, in any case."""
    for name, meaning in (
        ("group", "The subscriber group."),
        ("task", "The task: a handler's name, or gateway.<EVENT>."),
        ("event", "The dispatch name."),
        ("reason", "Why it is dead."),
    ):
        function = click.option(f"--{name}", metavar="TEXT", help=meaning)(function)
    return function


def _config(function: _Function) -> _Function:
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help=f"Settings in TOML.  [{CONFIG_ENV}; {CONFIG_FILE} if there is one here]",
    )(function)


def _json(answer: str) -> Callable[[_Function], _Function]:
    return click.option("--json", "as_json", is_flag=True, help=f"Print {answer}, or as failures why there is none.")


@click.group(
    epilog="""\b
Examples:
  gateway-service dead list --reason ValueError
  gateway-service dead show 9c1185a5c5e9fc54-4711.default.my_bot.greet --content
  gateway-service dead requeue --all --task my_bot.greet     after the fault in it is cured
  gateway-service dead drop --all --event TYPING_START --yes

\b
Exit codes: 0 done, 2 no dead message has that id, 69 the broker does not answer or a message has no queue any more.
"""
)
def dead() -> None:
    """See, requeue and drop messages that could not be handled.

    A message is dead when its handler failed for good, when it killed its worker again and again, or when nobody can
    read it. The broker is that of GATEWAY_BROKER_URL.
    """


@dead.command("list")
@_filters
@click.option("--limit", type=click.IntRange(min=1), default=_DEFAULT_LIMIT, show_default=True, help="Show so many.")
@_json("one JSON list")
@_config
@failures_as_json
def list_(config_file: Path | None, *, limit: int, as_json: bool, **wanted: str | None) -> int:
    """List dead messages, the oldest first; never their content."""
    from gateway_service.worker.dead_letters import matching

    with _opened(config_file) as letters:
        found = list(matching(letters, wanted))
    if as_json:
        click.echo(json.dumps([_described(letter) for letter in found[:limit]], indent=2))
    elif not found:
        click.echo("No message is dead." if not any(wanted.values()) else "No dead message is like that.")
    else:
        _print_table(found[:limit])
        click.echo(f"{len(found)} dead, {min(limit, len(found))} shown")
    return EX_OK


@dead.command()
@click.argument("message_id", metavar="ID")
@click.option("--content", is_flag=True, help="Show the body, with everything that people wrote in it.")
@_json("one JSON list")
@_config
@failures_as_json
def show(config_file: Path | None, message_id: str, *, content: bool, as_json: bool) -> int:
    """Show everything about a dead message but its content."""
    with _opened(config_file) as letters:
        found = _with_ids(letters, [message_id])
    described = [_described(letter, headers=True, content=content) for letter in found]
    if as_json:
        click.echo(json.dumps(described, indent=2, default=str))
        return EX_OK
    for each in described:
        for name, value in each.items():
            if name == "headers":
                click.echo("headers")
                for header, text in value.items():
                    click.echo(f"  {printable(header):<18} {printable(str(text))}")
            else:
                click.echo(f"{name:<20} {printable(str(value))}")
    return EX_OK


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "take_all", is_flag=True, help="All that match the filters.")
@_filters
@_json("the ids as JSON")
@_config
@failures_as_json
def requeue(
    config_file: Path | None, ids: Sequence[str], *, take_all: bool, as_json: bool, **wanted: str | None
) -> int:
    """Send dead messages back to the queues they came from.

    Only the handler that failed runs again, with all its retries; a message that no handler got to see goes to all
    handlers of its group. Handlers with once=True take it for a new run. If this program dies in the middle, a message
    may be in both places, and none is lost.
    """
    requeued, failures = [], []
    with _opened(config_file) as letters:
        for letter in _selected(letters, ids, take_all=take_all, wanted=wanted):
            if letters.requeue(letter):
                requeued.append(letter.id)
            else:
                message = f"{letter.id} stays dead: its queue {letter.queue!r} does not exist any more"
                failures.append({"code": "unavailable", "message": message, "id": letter.id})
    if as_json:
        click.echo(json.dumps({"requeued": requeued, "failures": failures}, indent=2))
    else:
        for failure in failures:
            click.echo(printable(failure["message"]), err=True)
        click.echo(f"{len(requeued)} requeued")
    return EX_UNAVAILABLE if failures else EX_OK


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "take_all", is_flag=True, help="All that match the filters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_filters
@_json("the ids as JSON")
@_config
@failures_as_json
def drop(
    config_file: Path | None, ids: Sequence[str], *, take_all: bool, yes: bool, as_json: bool, **wanted: str | None
) -> int:
    """Throw dead messages away, for good."""
    with _opened(config_file) as letters:
        selected = list(_selected(letters, ids, take_all=take_all, wanted=wanted))
        if selected and not yes:
            click.confirm(f"Throw {len(selected)} away for good?", abort=True, err=True)
        for letter in selected:
            letter.remove()
    if as_json:
        click.echo(json.dumps({"dropped": [letter.id for letter in selected], "failures": []}, indent=2))
    else:
        click.echo(f"{len(selected)} dropped")
    return EX_OK


@contextmanager
def _opened(config_file: Path | None) -> Iterator["DeadLetters"]:
    from gateway_service.worker.dead_letters import open_dead_letters

    options = load_worker_options(os.environ, config_file)
    with open_dead_letters(options.broker_url.get_secret_value()) as letters:
        yield letters


def _selected(
    letters: "DeadLetters", ids: Sequence[str], *, take_all: bool, wanted: dict[str, str | None]
) -> "Iterator[DeadLetter]":
    from gateway_service.worker.dead_letters import matching

    if bool(ids) == take_all:
        raise click.UsageError("give the ids of messages, or --all, which the filters narrow")
    if ids:
        yield from _with_ids(letters, ids)
    else:
        yield from matching(letters, wanted)


def _with_ids(letters: "DeadLetters", ids: Sequence[str]) -> "list[DeadLetter]":
    found = [letter for letter in letters if letter.id in ids]
    if missing := set(ids) - {letter.id for letter in found}:
        raise click.UsageError(f"no dead message has the id {', '.join(sorted(missing))}")
    return found


def _described(letter: "DeadLetter", *, headers: bool = False, content: bool = False) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": letter.id,
        "event": letter.event,
        "task": letter.task,
        "group": letter.group,
        "queue": letter.queue,
        "reason": letter.reason,
        "died_at": letter.died_at,
        "size_bytes": len(letter.body),
    }
    if headers:
        described["headers"] = dict(letter.headers)
    if content:
        described["content"] = letter.body.decode("utf-8", "replace")
    return described


def _print_table(letters: "Sequence[DeadLetter]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("id", overflow="fold")
    for name in ("event", "task", "reason"):
        table.add_column(name, overflow="fold")
    table.add_column("age", justify="right")
    for letter in letters:
        table.add_row(*map(printable, (letter.id, letter.event, letter.task, letter.reason)), _age(letter.died_at))
    console = Console()
    # In a pipe nobody sees the width of a terminal, and cut ids are of no use to anybody.
    console.print(table, width=None if console.is_terminal else 400, markup=False)


def _age(died_at: float | None) -> str:
    if died_at is None:
        return "?"
    age_s = max(0.0, time.time() - died_at)
    for unit, seconds in (("d", 86_400), ("h", 3600), ("min", 60)):
        if age_s >= seconds:
            return f"{age_s / seconds:.0f} {unit}"
    return f"{age_s:.0f} s"
