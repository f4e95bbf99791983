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
    from gateway_service.simulator.faults import AskHeartbeats as AskHeartbeats
    from gateway_service.simulator.faults import AskReconnect as AskReconnect
    from gateway_service.simulator.faults import CloseWith as CloseWith
    from gateway_service.simulator.faults import CutChunks as CutChunks
    from gateway_service.simulator.faults import DelayAcks as DelayAcks
    from gateway_service.simulator.faults import Dispatch as Dispatch
    from gateway_service.simulator.faults import EndStream as EndStream
    from gateway_service.simulator.faults import FillBuffer as FillBuffer
    from gateway_service.simulator.faults import FlapGuilds as FlapGuilds
    from gateway_service.simulator.faults import Freeze as Freeze
    from gateway_service.simulator.faults import Garble as Garble
    from gateway_service.simulator.faults import InvalidateSession as InvalidateSession
    from gateway_service.simulator.faults import LimitBandwidth as LimitBandwidth
    from gateway_service.simulator.faults import LimitRequest as LimitRequest
    from gateway_service.simulator.faults import LoseIntents as LoseIntents
    from gateway_service.simulator.faults import Moment as Moment
    from gateway_service.simulator.faults import MoveResumeUrl as MoveResumeUrl
    from gateway_service.simulator.faults import PadGuilds as PadGuilds
    from gateway_service.simulator.faults import RecommendShards as RecommendShards
    from gateway_service.simulator.faults import RefuseUpgrade as RefuseUpgrade
    from gateway_service.simulator.faults import Repeat as Repeat
    from gateway_service.simulator.faults import ResetToken as ResetToken
    from gateway_service.simulator.faults import SayNothing as SayNothing
    from gateway_service.simulator.faults import SendText as SendText
    from gateway_service.simulator.faults import SetMaxConcurrency as SetMaxConcurrency
    from gateway_service.simulator.faults import SetRemaining as SetRemaining
    from gateway_service.simulator.faults import SkipSeqs as SkipSeqs
    from gateway_service.simulator.faults import StallClose as StallClose
    from gateway_service.simulator.faults import WithholdAcks as WithholdAcks
    from gateway_service.simulator.faults import WithholdGuilds as WithholdGuilds
    from gateway_service.simulator.scenario import Scenario as Scenario
    from gateway_service.simulator.simulator import Simulator as Simulator

_HOME_OF: Final = {
    **dict.fromkeys(
        (
            "Abort",
            "AskHeartbeats",
            "AskReconnect",
            "CloseWith",
            "CutChunks",
            "DelayAcks",
            "Dispatch",
            "EndStream",
            "FillBuffer",
            "FlapGuilds",
            "Freeze",
            "Garble",
            "InvalidateSession",
            "LimitBandwidth",
            "LimitRequest",
            "LoseIntents",
            "Moment",
            "MoveResumeUrl",
            "PadGuilds",
            "RecommendShards",
            "RefuseUpgrade",
            "Repeat",
            "ResetToken",
            "SayNothing",
            "SendText",
            "SetMaxConcurrency",
            "SetRemaining",
            "SkipSeqs",
            "StallClose",
            "WithholdAcks",
            "WithholdGuilds",
        ),
        "faults",
    ),
    "Scenario": "scenario",
    "ScriptedAnswer": "endpoints",
    "Simulator": "simulator",
    "SimulatorConfig": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
