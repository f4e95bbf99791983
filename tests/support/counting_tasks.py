"""Handlers for what the simulator sends by itself: each run appends the dispatch's id."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from gateway_service import Dispatch, on
from gateway_service.dev.executions import ExecutionLog
from tests.support.worker import RECORD_VARIABLE


@cache
def executions() -> ExecutionLog:
    return ExecutionLog(Path(os.environ[RECORD_VARIABLE]))


@on("READY", "RESUMED", "GUILD_CREATE", "MESSAGE_CREATE")
def count(_data: Any, dispatch: Dispatch) -> None:
    executions().append(dispatch.id)
