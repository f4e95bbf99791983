"""Task module that ``dev`` loads beside yours: a handler on every simulated event records that it ran.

It is an ordinary handler next to yours: both run from the same broker message, each as its own task.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from gateway_service import Dispatch, on
from gateway_service.dev.executions import EXECUTIONS_FILE_VARIABLE, ExecutionLog
from gateway_service.simulator.payloads import GENERATED_EVENTS

EVENTS: Final = sorted({*GENERATED_EVENTS, "READY", "RESUMED", "GUILD_CREATE", "GUILD_DELETE"})
"""Everything the simulator dispatches without being told to."""


@cache
def _log(_process: int) -> ExecutionLog:
    return ExecutionLog(Path(os.environ[EXECUTIONS_FILE_VARIABLE]))


@on(*EVENTS, expires_s=None)
def count(_data: Any, dispatch: Dispatch) -> None:
    """Record that this dispatch became a task that ran."""
    _log(os.getpid()).append(dispatch.id)
