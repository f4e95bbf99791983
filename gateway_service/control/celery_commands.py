"""The registry on Celery's command line: ``celery -A gateway_service inspect shards``, ``control restart_shard 3``.

Only described, not handled: gateways answer, and a worker that loads this does not know the commands.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click
from celery.worker.control import Panel, controller_info_t
from pydantic import ValidationError, create_model

from gateway_service.control.operations import OPERATIONS, Operation, usage_of
from gateway_service.refusals import InvalidArgument


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
        except ValidationError as exc:
            return from_json(text, exc)
        return text

    def from_json(text: str, as_text: ValidationError) -> Any:
        try:
            value = json.loads(text)
            checked(value=value)
        except ValidationError as exc:
            raise refused(*map(_sentence, exc.errors(include_url=False))) from None
        except ValueError as exc:
            is_meant_as_json = text[:1] in {"[", "{"}
            raise refused(
                *([f"is not JSON: {exc}"] if is_meant_as_json else map(_sentence, as_text.errors(include_url=False)))
            ) from None
        return value

    def refused(*faults: str) -> click.UsageError:
        return click.UsageError(f"{InvalidArgument.code}: {name}: {'; '.join(faults)}\nUsage: {usage_of(operation)}")

    return convert


def _sentence(fault: Mapping[str, Any]) -> str:
    return str(fault.get("ctx", {}).get("error", fault["msg"]))
