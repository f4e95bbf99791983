"""Keeps every shard of a Discord bot connected and turns each dispatch into a Celery task."""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway_service.contract import Dispatch
    from gateway_service.settings import GatewayOptions
    from gateway_service.supervisor import Supervisor
    from gateway_service.worker import on
    from gateway_service.worker.calls import gateway

__all__ = ["Dispatch", "GatewayOptions", "Supervisor", "gateway", "on"]

# Handlers do not need the supervisor's libraries, nor the supervisor Celery: each name is imported when it is used.
_HOMES: Final = {
    "Dispatch": "gateway_service.contract",
    "GatewayOptions": "gateway_service.settings",
    "Supervisor": "gateway_service.supervisor",
    "gateway": "gateway_service.worker.calls",
    "on": "gateway_service.worker",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
