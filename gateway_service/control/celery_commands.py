"""The registry on Celery's command line: ``celery -A gateway_service inspect shards``, ``control restart_shard 3``.

Only described, not handled: gateways answer, and a worker that loads this does not know the commands.
"""

import json
from collections.abc import Callable
from typing import Any

import click
from celery.worker.control import Panel, controller_info_t
from pydantic import ValidationError, create_model

from gateway_service.control.operations import OPERATIONS, Operation, usage_of


def install() -> None:
    """Make every operation known to ``celery inspect`` and ``celery control``."""
    for operation in OPERATIONS.values():
        Panel.meta[operation.name] = controller_info_t(
            alias=None,
            type=operation.kind,
            visible=True,
            default_timeout=1.0,
            help=operation.help,
            signature=usage_of(operation).partition(" ")[2],
            args=[(name, _converter(operation, name)) for name in operation.arguments.model_fields],
            variadic=None,
        )


def _converter(operation: Operation, name: str) -> Callable[[str], Any]:
    """Return what reads one argument, written as text or as JSON; a bad one is a usage error, no traceback."""
    field: Any = operation.arguments.model_fields[name]
    checked: Any = create_model("Argument", value=(field.annotation, field))

    def convert(text: str) -> Any:
        try:
            checked(value=text)
        except ValidationError:
            return from_json(text)
        return text

    def from_json(text: str) -> Any:
        try:
            value = json.loads(text)
            checked(value=value)
        except ValidationError as exc:
            faults = "; ".join(fault["msg"] for fault in exc.errors(include_url=False))
            raise click.UsageError(f"{name}: {faults}\nUsage: {usage_of(operation)}") from None
        except ValueError:
            raise click.UsageError(f"{name}: {text!r} cannot be read\nUsage: {usage_of(operation)}") from None
        return value

    return convert
