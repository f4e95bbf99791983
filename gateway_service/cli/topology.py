"""``gateway-service topology``."""

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from gateway_service.errors import ConfigurationError
from gateway_service.telemetry import redact

if TYPE_CHECKING:
    from gateway_service.worker.broker_view import BrokerView
    from gateway_service.worker.topology_plan import Difference, Seen

EX_DIFFERS: Final = 1
_Command = Callable[..., Any]


@click.group()
def topology() -> None:
    """Compare the broker's queues and bindings with what the handlers need.

    A worker declares what its handlers need and never takes anything away: the queue of a removed handler goes on
    collecting until it is pruned.
    """


def _options(command: _Command) -> _Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option(
            "--management-url",
            metavar="URL",
            envvar="GATEWAY_MANAGEMENT_URL",
            show_envvar=True,
            help="RabbitMQ's management API, http://user:password@host:15672: with it stale bindings are seen as well.",
        ),
        click.option(
            "-A",
            "--app",
            "app_name",
            default="gateway_service",
            show_default=True,
            metavar="PKG.MOD",
            help="The Celery application of the group.",
        ),
    ):
        command = option(command)
    return command


@topology.command()
@_options
def show(app_name: str, management_url: str | None, *, as_json: bool) -> None:
    """Show the queues of the group, and what nobody subscribed to."""
    with _view(app_name, management_url) as view:
        _, seen, difference = _compare(view)
        unrouted = view.unrouted()
    rows = _rows(seen, difference)
    if as_json:
        bindings = None if seen.bindings is None else [dataclasses.asdict(each) for each in sorted(seen.bindings)]
        _print_json({"queues": rows, "bindings": bindings, "unrouted": dict(unrouted)})
        return
    for row in rows:
        click.echo(f"{row['state']:<8} {row['name']:<48} {row['messages']:>8} messages {row['consumers']:>3} consumers")
    click.echo(f"{sum(unrouted.values())} messages that nobody subscribed to")
    for event, count in unrouted.items():
        click.echo(f"         {event:<48} {count:>8} messages")


@topology.command(epilog="Exit codes: 0 nothing differs, 1 something does.")
@_options
def diff(app_name: str, management_url: str | None, *, as_json: bool) -> int:
    """Tell what is missing and what is stale."""
    with _view(app_name, management_url) as view:
        _, seen, difference = _compare(view)
    if as_json:
        _print_json({**dataclasses.asdict(difference), "sees_bindings": seen.bindings is not None})
    else:
        _print_difference(seen, difference)
    return EX_DIFFERS if difference else 0


@topology.command()
@_options
def apply(app_name: str, management_url: str | None, *, as_json: bool) -> None:
    """Declare what the handlers need, as a worker does at its start.

    The queues collect from now on, so that nothing is missed until the first worker runs.
    """
    with _view(app_name, management_url) as view:
        view.apply()
        _, seen, difference = _compare(view)
    if as_json:
        _print_json({**dataclasses.asdict(difference), "sees_bindings": seen.bindings is not None})
    else:
        _print_difference(seen, difference)


@topology.command(epilog="Exit codes: 0 done, 1 not done: a queue holds messages or workers, or you said no.")
@_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Delete queues with the messages in them, too.")
def prune(app_name: str, management_url: str | None, *, as_json: bool, yes: bool, force: bool) -> int:
    """Delete stale queues and bindings.

    Queues that some worker consumes stay; so do queues with messages, unless --force says otherwise.
    """
    with _view(app_name, management_url) as view:
        known, seen, difference = _compare(view)
        kept = [name for name in difference.stale_queues if not _may_go(seen, name, force=force)]
        going = dataclasses.replace(
            difference, stale_queues=tuple(name for name in difference.stale_queues if name not in kept)
        )
        if not as_json:
            _print_difference(seen, dataclasses.replace(going, missing_queues=(), missing_bindings=()))
        if not yes and going.stale_queues and not click.confirm("Delete them?", err=True):
            return EX_DIFFERS
        view.prune(going, known)
    if as_json:
        _print_json({"deleted": list(going.stale_queues), "unbound": _asdicts(going), "kept": kept})
    for name in kept:
        state = seen.queues[name]
        click.echo(f"{name} stays: {state.messages} messages, {state.consumers} consumers (see --force)", err=True)
    return EX_DIFFERS if kept else 0


def _view(app_name: str, management_url: str | None) -> "BrokerView":
    if management_url is not None and not management_url.startswith(("http://", "https://")):
        raise ConfigurationError("--management-url: must begin with http:// or https://")
    from gateway_service.worker.broker_view import BrokerView
    from gateway_service.worker.loading import gateway_of

    gateway = gateway_of(app_name)
    return BrokerView(gateway.app, gateway.subscription(), management_url)


def _compare(view: "BrokerView") -> "tuple[frozenset[str], Seen, Difference]":
    from gateway_service.protocol.dispatch_names import DISPATCH_NAMES
    from gateway_service.worker.topology_plan import compare, needed_by

    seen = view.see(DISPATCH_NAMES)
    return DISPATCH_NAMES, seen, compare(view.subscription.group, needed_by(view.subscription), seen)


def _may_go(seen: "Seen", name: str, *, force: bool) -> bool:
    state = seen.queues[name]
    return state.consumers == 0 and (force or state.messages == 0)


def _rows(seen: "Seen", difference: "Difference") -> list[dict[str, Any]]:
    rows = [
        {
            "name": name,
            "messages": state.messages,
            "consumers": state.consumers,
            "state": "stale" if name in difference.stale_queues else "ok",
        }
        for name, state in sorted(seen.queues.items())
    ]
    missing = [{"name": name, "messages": 0, "consumers": 0, "state": "missing"} for name in difference.missing_queues]
    return rows + missing


def _print_difference(seen: "Seen", difference: "Difference") -> None:
    for name in difference.missing_queues:
        click.echo(f"missing  queue {name}")
    for binding in difference.missing_bindings:
        click.echo(f"missing  binding {binding.source} -- {binding.key} --> {binding.destination}")
    for name in difference.stale_queues:
        click.echo(f"stale    queue {name} ({seen.queues[name].messages} messages)")
    for binding in difference.stale_bindings:
        click.echo(f"stale    binding {binding.source} -- {binding.key} --> {binding.destination}")
    if not difference:
        click.echo("nothing differs")
    if seen.bindings is None:
        click.echo("bindings are not compared: AMQP does not list them; see --management-url", err=True)


def _asdicts(difference: "Difference") -> list[dict[str, str]]:
    return [dataclasses.asdict(binding) for binding in difference.stale_bindings]


def _print_json(document: Any) -> None:
    click.echo(redact(json.dumps(document, indent=2)))
