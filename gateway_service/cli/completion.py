"""``gateway-service completion``."""

import click
from click.shell_completion import get_completion_class

from gateway_service.errors import EX_OK


@click.command(
    epilog="""\b
Examples:
  eval "$(gateway-service completion bash)"         zsh likewise
  gateway-service completion fish | source
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    from gateway_service.cli.main import PROGRAM, cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, PROGRAM, "_GATEWAY_SERVICE_COMPLETE").source())
    return EX_OK
