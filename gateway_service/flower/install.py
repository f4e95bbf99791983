"""Puts the page into the ``celery flower`` command, and gets out of the way where that does not work."""

import sys
from importlib.metadata import version
from types import ModuleType
from typing import Any


def install(command: ModuleType) -> None:
    """Let ``flower.command`` make applications with our page.

    Flower promises nobody a place for pages. Where it changed under us it starts as it is, and one line says so.
    """
    try:
        plain = command.Flower
        from gateway_service.flower.application import GatewayFlower
    except Exception as exc:  # noqa: BLE001 - whatever it is, Flower is worth more than the page
        _say(exc)
        return

    def make(*args: Any, **settings: Any) -> Any:
        try:
            return GatewayFlower(*args, **settings)
        except Exception as exc:  # noqa: BLE001
            _say(exc)
            return plain(*args, **settings)

    command.Flower = make  # type: ignore[attr-defined]


def _say(reason: Exception) -> None:
    sys.stderr.write(
        f"gateway-service: Flower {version('flower')} starts without the Shards page, which does not fit it: "
        f"{type(reason).__name__}: {reason}\n"
    )
