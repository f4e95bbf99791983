"""``gateway-service start``."""

import os
from pathlib import Path
from typing import Any

import click

from gateway_service.cli.flags import setting_flags
from gateway_service.settings import load_options
from gateway_service.telemetry import configure_logging


@click.command(
    epilog="""\b
Examples:
  gateway-service start                            every shard that Discord recommends
  gateway-service start --shard-count 32           32 shards, all of them here
  gateway-service start --shard-count 32 --shards 0-15 --processes 8
  gateway-service start --shard-count 32 --shards-per-pod 8 --ordinal 3     shards 24 to 31
  gateway-service start --intents UNPRIVILEGED,MESSAGE_CONTENT
  gateway-service start --presence '{"status": "idle"}'
  gateway-service start --presence my_bot.presence:for_shard

\b
SIGHUP: read [routes] again; connections and sessions stay.
SIGTERM or Ctrl-C: flush what was received, keep the sessions resumable, end.
The next start resumes them.
"""
)
@setting_flags
def start(config_file: Path | None, **flags: Any) -> int:
    """Keep the shards connected and publish every dispatch.

    A flag overrides its variable (named in brackets), a variable overrides the key of the same name in the TOML
    file, and that overrides the default.

    The token has no flag, because every user of the host can read a program's arguments: set DISCORD_TOKEN, or
    DISCORD_TOKEN_FILE to a file that holds it.
    """
    options = load_options(flags, os.environ, config_file)
    configure_logging(options.log_level, options.log_format)
    from gateway_service.control.plane import ControlPlane
    from gateway_service.supervisor import Supervisor

    supervisor = Supervisor(options, read_options=lambda: load_options(flags, os.environ, config_file))
    with ControlPlane.of(options) as plane:
        return supervisor.run(plane.opened)
