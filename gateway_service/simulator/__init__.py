"""A Discord double: REST API and gateway on loopback, good enough for unmodified client libraries.

``from gateway_service.simulator import Simulator, SimulatorConfig``; the names are loaded on first use, so
that the pytest plugin in this package costs a test run nothing until its fixture is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway_service.simulator.config import SimulatorConfig as SimulatorConfig
    from gateway_service.simulator.endpoints import ScriptedAnswer as ScriptedAnswer
    from gateway_service.simulator.faults import Abort as Abort
    from gateway_service.simulator.faults import AskReconnect as AskReconnect
    from gateway_service.simulator.faults import CloseWith as CloseWith
    from gateway_service.simulator.faults import CutChunks as CutChunks
    from gateway_service.simulator.faults import Freeze as Freeze
    from gateway_service.simulator.faults import InvalidateSession as InvalidateSession
    from gateway_service.simulator.faults import LimitRequest as LimitRequest
    from gateway_service.simulator.faults import LoseIntents as LoseIntents
    from gateway_service.simulator.faults import Moment as Moment
    from gateway_service.simulator.faults import RefuseUpgrade as RefuseUpgrade
    from gateway_service.simulator.simulator import Simulator as Simulator

_HOME_OF: Final = {
    "Abort": "faults",
    "AskReconnect": "faults",
    "CloseWith": "faults",
    "Freeze": "faults",
    "InvalidateSession": "faults",
    "CutChunks": "faults",
    "LimitRequest": "faults",
    "LoseIntents": "faults",
    "Moment": "faults",
    "RefuseUpgrade": "faults",
    "ScriptedAnswer": "endpoints",
    "Simulator": "simulator",
    "SimulatorConfig": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
