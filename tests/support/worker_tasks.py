"""Handlers for tests of the worker: what they do is written in the payload, and every run is recorded."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway_service import Dispatch, on
from gateway_service.worker import app
from tests.support.recording import record, record_line
from tests.support.worker import ODD_EVENT, RECORD_VARIABLE


def asked(data: Any, wish: str) -> Any:
    return data.get(wish) if isinstance(data, dict) else None


@on("MESSAGE_CREATE", "GUILD_CREATE")
def changing(data: Any, dispatch: Dispatch) -> None:
    record("changing", dispatch, data)
    if isinstance(data, dict):
        data.clear()


@on("MESSAGE_CREATE", ODD_EVENT, "BRAND_NEW_EVENT", bind=True, max_retries=1)
def retrying(self: Any, data: Any, dispatch: Dispatch) -> None:
    record("retrying", dispatch, data, task_id=self.request.id, retries=self.request.retries)
    if (countdown := asked(data, "retry_in_s")) is not None and self.request.retries == 0:
        raise self.retry(countdown=countdown)


@on("MESSAGE_CREATE")
def failing(data: Any, dispatch: Dispatch) -> None:
    if asked(data, "fail"):
        raise ValueError("as it was told")
    record("failing", dispatch, data)


@on("DEADLY")
def deadly(data: Any, dispatch: Dispatch) -> None:
    """End its own pool process: once, or each time."""
    record("deadly", dispatch, data)
    runs = Path(os.environ[RECORD_VARIABLE]).read_text().count(f'"dispatch": "{dispatch.id}"')
    if runs <= data["times"]:
        if data.get("by") == "exit":
            sys.exit("as it was told")
        os.kill(os.getpid(), signal.SIGKILL)


@on("DELEGATED")
def delegating(data: Any, dispatch: Dispatch) -> None:
    ordinary.delay(dispatch.id, data)


@app.task
def ordinary(dispatch_id: str, data: Any) -> None:
    record_line({"handler": "ordinary", "dispatch": dispatch_id, "data": data})


@app.task(name="gateway.PLAIN", bind=True)
def plain(self: Any, data: Any) -> None:
    record("plain", Dispatch.from_headers(self.request.headers), data)
