"""The ``dev`` command."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.live import Live

from gateway_service.dev.stack import DevConfig, DevStack, Totals
from gateway_service.dev.status import StatusView
from gateway_service.embedded import BrokerChoice
from gateway_service.errors import EX_INTERRUPTED, EX_OK, EX_SOFTWARE
from gateway_service.telemetry import configure_logging
from gateway_service.waiting import is_set_within

# A bounded run is a measurement, so what is under way gets its time to arrive. Ctrl-C ends everything in 10 s.
_DRAIN_TIMEOUT_S: Final = 20.0
_INTERRUPTED_DRAIN_TIMEOUT_S: Final = 3.0
_REFRESH_S: Final = 0.5


@click.command()
@click.option(
    "--broker",
    type=click.Choice(["auto", "valkey", "rabbitmq"]),
    default="auto",
    show_default=True,
    help="Private broker to start. auto: Valkey or Redis, which start at once; rabbitmq: production semantics.",
)
@click.option("--shards", type=click.IntRange(1, 64), default=4, show_default=True, help="Number of shards.")
@click.option("--processes", type=click.IntRange(1, 16), default=2, show_default=True, help="Shard processes.")
@click.option("--guilds", type=click.IntRange(1, 10_000), default=40, show_default=True, help="Simulated guilds.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 20_000), default=50.0, show_default=True, help="Dispatches per second."
)
@click.option("--seconds", type=click.FloatRange(0.1), help="Stop after this time; without it Ctrl-C stops.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the totals, nothing else.")
def dev(
    *,
    broker: BrokerChoice,
    shards: int,
    processes: int,
    guilds: int,
    rate: float,
    seconds: float | None,
    as_json: bool,
) -> None:
    r"""Run the whole system in this terminal: no token, no installed broker.

    A private broker, a simulated Discord, a supervisor with its shard processes, one worker that runs the
    handlers in tasks/, and Flower. The status shows dispatches arriving as Celery tasks. At the end the
    totals of sent, published and executed dispatches are printed; exit code 70 if one was lost. What is under way
    gets 20 seconds to run, after Ctrl-C three; what still waits in a queue then is called pending.

    \b
    Examples:
      gateway-service dev
      gateway-service dev --seconds 20 --json
      gateway-service dev --broker rabbitmq --rate 500 --shards 16
    """
    configure_logging("warning", "text")
    config = DevConfig(broker=broker, shards=shards, processes=processes, guilds=guilds, rate=rate)
    with _terminal(config.directory / "service.log", quiet=as_json) as console:
        totals = asyncio.run(_run(config, seconds, console))
    if as_json:
        click.echo(totals.to_json())
    else:
        pending = f"pending {totals.pending:,}   " if totals.pending else ""
        click.echo(
            f"sent {totals.sent:,}   published {totals.published:,}   executed {totals.executed:,}   "
            f"{pending}lost {totals.lost:,}   duplicates {totals.duplicates:,}"
        )
    sys.exit(EX_SOFTWARE if totals.lost else EX_OK)


@contextlib.contextmanager
def _terminal(log_path: Path, *, quiet: bool) -> Iterator[Console]:
    """Keep the terminal for the status: a log takes what else is written to standard error, by shard processes too."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal, log_path.open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
        try:
            yield Console(file=terminal, quiet=quiet)
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), sys.stderr.fileno())


async def _run(config: DevConfig, seconds: float | None, console: Console) -> Totals:
    """Run everything and return the totals."""
    interrupted = asyncio.Event()
    this_task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def interrupt_start() -> None:
        interrupted.set()
        if this_task is not None:
            this_task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt_start)
    try:
        with console.status("starting") as starting:
            stack = DevStack(config, lambda part: starting.update(f"starting {part}"))
            await stack.start()
    except asyncio.CancelledError:
        if not interrupted.is_set():
            raise
        sys.exit(EX_INTERRUPTED)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    try:
        stack.start_traffic()
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_show(StatusView(stack), console), name="dev-status")
            await is_set_within(interrupted, seconds)
            await stack.drain(_INTERRUPTED_DRAIN_TIMEOUT_S if interrupted.is_set() else _DRAIN_TIMEOUT_S)
            showing.cancel()
        with console.status("stopping"):
            return await stack.last_totals()
    finally:
        with console.status("stopping"):
            await stack.stop()


async def _show(view: StatusView, console: Console) -> None:
    """Show the status until cancelled; on the event loop, to which everything belongs that it looks at."""
    with Live(view(), console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(view(), refresh=True)
            await asyncio.sleep(_REFRESH_S)
