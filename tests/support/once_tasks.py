"""Handlers that run once for each dispatch; what they do is written in the payload."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from gateway_service import Dispatch, on
from tests.support.recording import record
from tests.support.worker import RECORD_VARIABLE

FOREVER_S = 600.0


@on("ONCE", bind=True, once=True, max_retries=1)
def only(self: Any, data: Any, dispatch: Dispatch) -> None:
    record("only", dispatch, data, retries=self.request.retries)
    match data:
        case {"wish": "fail"}:
            raise ValueError("as it was told")
        case {"wish": "retry"} if self.request.retries == 0:
            raise self.retry(countdown=0)
        case {"for_s": seconds}:
            threading.Event().wait(seconds)
    record("over", dispatch, data)


@on("ONCE")
def always(data: Any, dispatch: Dispatch) -> None:
    record("always", dispatch, data)


@on("TIMED", once=True, time_limit=1)
def timed(data: Any, dispatch: Dispatch) -> None:
    record("timed", dispatch, data)
    threading.Event().wait(FOREVER_S)


@on("FATAL", once=True)
def fatal(data: Any, dispatch: Dispatch) -> None:
    """Kill its process in its first run."""
    record("fatal", dispatch, data)
    if Path(os.environ[RECORD_VARIABLE]).read_text().count(f'"dispatch": "{dispatch.id}"') == 1:
        os.kill(os.getpid(), signal.SIGKILL)
