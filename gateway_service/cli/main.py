"""``gateway-service``: the commands, and what becomes of their errors."""

import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

import click
from click.shell_completion import CompletionItem

from gateway_service.errors import (
    EX_INTERRUPTED,
    EX_SOFTWARE,
    ApiUnavailable,
    BrokerUnavailable,
    ConfigurationError,
    GatewayServiceError,
    ServiceUnavailable,
    StateUnavailable,
)
from gateway_service.telemetry import redact

PROGRAM: Final = "gateway-service"

# Import path and first help line of each command. A command is imported when it is used, so that --help and
# completion answer at once; a test compares the lines.
COMMANDS: Final = {
    "start": ("gateway_service.cli.start:start", "Keep the shards connected and publish every dispatch."),
    "worker": ("gateway_service.cli.worker:worker", "Run the handlers in several Celery workers."),
    "doctor": ("gateway_service.cli.doctor:doctor", "Check settings, token, broker, state and clock."),
    "flower": ("gateway_service.cli.flower:flower", "Run Flower with the Shards page."),
    "dead": ("gateway_service.cli.dead:dead", "See, requeue and drop messages that could not be handled."),
    "status": ("gateway_service.cli.status:status", "Watch the shards of a running service."),
    "shards": ("gateway_service.cli.status:shards", "List the shards of a running service."),
    "processes": ("gateway_service.cli.status:processes", "List the shard processes of a running service."),
    "ledger": ("gateway_service.cli.ledger:ledger", "Prove, session by session, that nothing was lost."),
    "budget": ("gateway_service.cli.status:budget", "Tell how many IDENTIFYs are left."),
    "restart": ("gateway_service.cli.operate:restart", "Let one shard, or its whole process, start over."),
    "rolling-restart": (
        "gateway_service.cli.operate:rolling_restart",
        "Restart every shard process of one host, or of all, one after the other.",
    ),
    "drain": ("gateway_service.cli.operate:drain", "Let the service flush, keep its sessions and end."),
    "presence": ("gateway_service.cli.discord:presence", "Set or clear the presence of the bot."),
    "voice": ("gateway_service.cli.discord:voice", "Join or leave a voice channel."),
    "members": ("gateway_service.cli.discord:members", "Ask Discord for members of a guild."),
    "soundboard-sounds": (
        "gateway_service.cli.discord:soundboard_sounds",
        "Ask Discord for the soundboard sounds of a guild.",
    ),
    "channel-info": (
        "gateway_service.cli.discord:channel_info",
        "Ask Discord for the voice status of a guild's channels.",
    ),
    "where": ("gateway_service.cli.discord:where", "Tell which shard and host has a guild."),
    "completion": ("gateway_service.cli.completion:completion", "Print the completion script of a shell."),
    "topology": (
        "gateway_service.cli.topology:topology",
        "Compare the broker's queues and bindings with what the handlers need.",
    ),
    "routes": ("gateway_service.cli.routes:routes", "Explain what [routes] does, and let a service read it again."),
    "simulate": (
        "gateway_service.simulator.command:simulate",
        "Run a Discord double on loopback and print where to connect.",
    ),
    "dev": ("gateway_service.dev.command:dev", "Run the whole system in this terminal: no token, no installed broker."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports them on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from the list: click's own imports every command for its help line, which takes seconds."""
        names = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return names + super(click.Group, self).shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="""\b
First steps:
  gateway-service dev                        see everything work, without a token
  export DISCORD_TOKEN=...                   the token shown under Bot in the developer portal
  gateway-service doctor                     is everything there that a start needs?
  gateway-service start --shard-count 32     run the gateway
  gateway-service worker -l info             run the handlers in tasks/

\b
Completion (bash, zsh; fish: gateway-service completion fish | source):
  eval "$(gateway-service completion bash)"

\b
Exit codes:
  0    done          69  broker, API, state or service not available
  1    refused       70  a fault in this program
  2    usage         78  a setting is wrong or Discord refused it; do not restart
  130  interrupted
""",
)
@click.version_option(package_name="gateway-service", prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Keep every shard of a Discord bot connected and turn each dispatch into a Celery task."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; every error of ours becomes one line and its exit code."""
    # A presence function may be in the working directory, as a worker's tasks may; installed scripts do not look there.
    sys.path.append("")
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None, command: click.Command = cli) -> int:
    """Run a command and return the exit code."""
    try:
        code = command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EX_INTERRUPTED
    except BrokenPipeError:  # `gateway-service doctor | head -1`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as exc:  # noqa: BLE001 - the last resort
        return report(exc)
    return code if isinstance(code, int) else 0


# Where the address of what does not answer is set.
_VARIABLE_OF: Final = {
    ApiUnavailable: "GATEWAY_API_URL",
    BrokerUnavailable: "GATEWAY_BROKER_URL",
    StateUnavailable: "GATEWAY_STATE_URL",
}


def report(error: BaseException, environ: Mapping[str, str] = os.environ) -> int:
    """Say on standard error what happened, without secrets, and return the exit code for it."""
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return report(error.exceptions[0], environ)
    if isinstance(error, ConfigurationError):
        _say(*error.faults)
        return error.exit_code
    if isinstance(error, ServiceUnavailable):
        _say(f"{error} (see {_VARIABLE_OF[type(error)]})" if type(error) in _VARIABLE_OF else str(error))
        return error.exit_code
    if isinstance(error, GatewayServiceError):
        _say(str(error))
        return error.exit_code
    # Most commands have no --log-level and set up no log: the variable is there for all of them.
    if logging.getLogger().isEnabledFor(logging.DEBUG) or environ.get("GATEWAY_LOG_LEVEL", "").lower() == "debug":
        _say("".join(traceback.format_exception(error)).rstrip())
    else:
        _say(f"a fault in this program: {type(error).__name__}: {error}; GATEWAY_LOG_LEVEL=debug shows where")
    return EX_SOFTWARE


def _say(*sentences: str) -> None:
    for sentence in sentences:
        click.echo(f"{PROGRAM}: {redact(sentence)}", err=True)
