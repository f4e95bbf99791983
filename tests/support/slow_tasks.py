"""Handlers that take their time, for tests that end a worker in the middle."""

import threading
from typing import Any

from gateway_service import Dispatch, on
from tests.support.recording import record

FOREVER_S = 600.0
A_MOMENT_S = 1.0


@on("MESSAGE_CREATE")
def wait(data: Any, dispatch: Dispatch) -> None:
    record("waiting", dispatch, data)
    threading.Event().wait(FOREVER_S)


@on("GUILD_CREATE")
def work(data: Any, dispatch: Dispatch) -> None:
    record("begun", dispatch, data)
    threading.Event().wait(A_MOMENT_S)
    record("done", dispatch, data)
