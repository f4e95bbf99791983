"""``gateway-service flower``."""

import os
import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  gateway-service flower --basic_auth=me:secret
  gateway-service flower --address=0.0.0.0 --port=5555 --url_prefix=flower --basic_auth=me:secret
  gateway-service flower --read_only=true
""",
)
@click.argument("flower_options", nargs=-1, type=click.UNPROCESSED, metavar="[FLOWER OPTIONS]...")
def flower(*, flower_options: tuple[str, ...]) -> None:
    """Run Flower with the Shards page.

    Workers, tasks and the gateways of one broker: the same as `celery -A gateway_service flower`. It may run on any
    machine that reaches the broker. Without authentication it shows and does not act.
    """
    os.execv(  # noqa: S606 - no shell is what is wanted
        sys.executable, [sys.executable, "-m", "celery", "-A", "gateway_service", "flower", *flower_options]
    )
