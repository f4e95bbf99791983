"""``gateway-service worker``."""

import os
from typing import Final

import click

from gateway_service.settings import load_worker_options
from gateway_service.telemetry import configure_logging

# What is decided here: one solo pool per process, in the foreground, under a name of its own.
_OURS: Final = frozenset(
    {"-P", "--pool", "-c", "--concurrency", "--autoscale", "-n", "--hostname", "-D", "--detach", "--pidfile"}
)


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  gateway-service worker                            one worker per CPU core
  gateway-service worker --processes 4 -l info      options of `celery worker` follow
  gateway-service worker --processes 2 -Q default.MESSAGE_CREATE

\b
SIGTERM or Ctrl-C: handlers that run are finished, what waits goes to other workers.
""",
)
@click.option(
    "--processes", type=click.IntRange(1, 512), metavar="N", help="Workers to run.  [one per CPU core]", default=None
)
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="How long handlers may take to finish when the workers are stopped; then they are killed.",
)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED, metavar="[CELERY WORKER OPTIONS]...")
def worker(*, processes: int | None, grace_s: float, celery_options: tuple[str, ...]) -> int:
    """Run the handlers in several Celery workers.

    Each has a solo pool, which is the fastest layout: one process, no pool between the broker and your handlers.

    A worker that ends is started again. One that was killed over a handler gives its messages to the others.
    """
    for option in celery_options:
        name = option.partition("=")[0] if option.startswith("--") else option[:2]
        if name in _OURS:
            raise click.UsageError(f"{name}: `gateway-service worker` decides that itself; use `celery worker` for it")
    load_worker_options(os.environ)  # a wrong setting is told once, and not by each worker
    configure_logging("info")
    from gateway_service.supervisor.bootstrap import cpu_count
    from gateway_service.supervisor.workers import Workers

    return Workers(processes or cpu_count(), celery_options, grace_s=grace_s).run()
