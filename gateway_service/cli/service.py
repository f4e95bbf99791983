"""What every command for a running service has in common."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from gateway_service.cli.flags import config_flag, flag_of
from gateway_service.errors import EX_OK, EX_REFUSED, ConfigurationError, GatewayServiceError, ServiceUnavailable
from gateway_service.refusals import ControlError, Misconfigured
from gateway_service.settings import SETTINGS, load_control_options
from gateway_service.supervisor.plan import as_ranges
from gateway_service.telemetry import redact

if TYPE_CHECKING:
    from gateway_service.control.client import ControlClient

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 refused or done only in part, 2 a wrong command line, 69 no service or shard answers, "
    "78 a setting is wrong."
)

Answer = dict[str, Any]

_PIPED_CHARS: Final = 1000


class Caller:
    """The service that a command speaks to, and how the command prints."""

    def __init__(self, client: "ControlClient", *, as_json: bool) -> None:
        self._client = client
        self.as_json = as_json
        self.console = Console()
        if not self.console.is_terminal:  # no width cuts off what goes to a file or another program
            self.console.width = _PIPED_CHARS

    def ask(self, name: str, **arguments: Any) -> Answer:
        """Perform an operation and return its whole answer.

        Raises:
            NoServiceAnswers: Nobody is there.
            ControlError: The service refused.
        """
        from gateway_service.control.operations import OPERATIONS

        return self._client.perform(OPERATIONS[name], arguments)

    def say(self, answer: Answer, sentence: str) -> int:
        """Print an answer, for machines or people, with what failed; return the exit code."""
        if self.as_json:
            click.echo(json.dumps(answer, indent=2))
        else:
            if sentence:
                click.echo(sentence)
            for line in _lines_of(answer["failures"]):
                click.echo(line, err=True)
        return EX_REFUSED if answer["failures"] else EX_OK


def printable(text: str) -> str:
    """Return what someone else said, such as a close reason of Discord's, as a terminal shows it and never obeys it."""
    return text if text.isprintable() else json.dumps(text)


def _lines_of(failures: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line for each failure; one that several shards of a host have in common is told once, with them."""
    shards: dict[tuple[str, str, str | None], list[int]] = {}
    for failure in failures:
        shard_ids = shards.setdefault((failure["code"], failure["message"], failure.get("host")), [])
        if failure.get("shard_id") is not None:
            shard_ids.append(failure["shard_id"])
    return [
        f"{code}: {printable(message)}" + (f" (shards {as_ranges(shard_ids)} of {host})" if len(shard_ids) > 1 else "")
        for (code, message, host), shard_ids in shards.items()
    ]


def failures_as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command with ``--json`` print why it has no answer as JSON too; the exit code is the same."""

    @wraps(function)
    def run(*args: Any, as_json: bool, **given: Any) -> Any:
        try:
            return function(*args, as_json=as_json, **given)
        except GatewayServiceError as exc:
            if not as_json:
                raise
            click.echo(json.dumps({"failures": _failures_of(exc)}, indent=2))
            return exc.exit_code

    return run


def _failures_of(error: GatewayServiceError) -> list[dict[str, object]]:
    if isinstance(error, ControlError):
        failures = [error.to_json("")]
    elif isinstance(error, ConfigurationError):
        failures = [Misconfigured(fault).to_json("") for fault in error.faults]
    else:
        code = "unavailable" if isinstance(error, ServiceUnavailable) else ControlError.code
        failures = [{"code": code, "message": str(error)}]
    return [failure | {"message": redact(str(failure["message"]))} for failure in failures]


def for_service(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json`` and the flags that lead to the service; it gets a :class:`Caller` first."""

    @failures_as_json
    @wraps(function)
    def run(
        config_file: Path | None,
        control_address: str | None,
        control_tokens_file: str | None,
        *,
        as_json: bool,
        **given: Any,
    ) -> Any:
        from gateway_service.control.client import ControlClient

        flags: Mapping[str, Any] = {"control_address": control_address, "control_tokens_file": control_tokens_file}
        with ControlClient(load_control_options(flags, os.environ, config_file)) as client:
            return function(Caller(client, as_json=as_json), **given)

    decorated: Callable[..., Any] = config_flag(run)
    for setting in SETTINGS:
        if setting.name in {"control_address", "control_tokens_file"}:
            decorated = flag_of(setting)(decorated)
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the whole answer as JSON, or why there is none."
    )(decorated)
