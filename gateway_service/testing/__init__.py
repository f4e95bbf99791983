"""For the tests of your bot: realistic dispatches, and handlers that run without a broker.

The names are loaded on first use, so that the pytest plugin in this package costs a test run nothing until its
fixture is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway_service.testing.dispatches import dispatch_fixture
    from gateway_service.testing.handlers import HandlerRun, run_handler

__all__ = ["HandlerRun", "dispatch_fixture", "run_handler"]

_HOMES: Final = {
    "HandlerRun": "gateway_service.testing.handlers",
    "dispatch_fixture": "gateway_service.testing.dispatches",
    "run_handler": "gateway_service.testing.handlers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
