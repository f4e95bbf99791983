"""Two Celery applications that a user could have written: groups of their own beside the default one."""

import os
import signal
from pathlib import Path
from typing import Any

from celery import Celery, chain

from gateway_service import Dispatch
from gateway_service.worker import Gateway
from tests.support.recording import record, record_line
from tests.support.worker import RECORD_VARIABLE

moderation = Celery("moderation", result_backend=f"file://{os.environ.get('TEST_RESULTS', '/nowhere')}")
moderation.conf.task_default_queue = "moderation"  # else the ordinary tasks of both are in one queue
moderation.conf.gateway_routes = {"MESSAGE_*": "messages"}
moderating = Gateway(moderation, group="moderation")

analytics = Celery("analytics")
analysing = Gateway(analytics, group="analytics")


@moderating.on("MESSAGE_CREATE", "MESSAGE_UPDATE", bind=True, max_retries=1, name="judge", ignore_result=False)
def judge(self: Any, data: Any, dispatch: Dispatch) -> int:
    record("judge", dispatch, data, retries=self.request.retries)
    if (countdown := data.get("retry_in_s")) is not None and self.request.retries == 0:
        raise self.retry(countdown=countdown)
    return len(data)


@moderating.on("MESSAGE_CREATE", name="deadly")
def deadly(data: Any, dispatch: Dispatch) -> None:
    """Kill its own pool process as often as it is told to."""
    record("deadly", dispatch, data)
    runs = Path(os.environ[RECORD_VARIABLE]).read_text().count(f'"handler": "deadly", "dispatch": "{dispatch.id}"')
    if runs <= data.get("kills", 0):
        os.kill(os.getpid(), signal.SIGKILL)


@moderating.on("GUILD_CREATE", name="chaining")
def chaining(guild: Any, dispatch: Dispatch) -> None:
    del guild
    chain(add.s(1, 2), add.s(3), note.s(dispatch.id))()


# Celery gives a shared task to every application of the process, this one to its own.
@moderation.task(name="add", shared=False)
def add(left: int, right: int) -> int:
    return left + right


@moderation.task(name="note", shared=False)
def note(total: int, dispatch_id: str) -> None:
    record_line({"handler": "note", "dispatch": dispatch_id, "total": total})


@analysing.on("MESSAGE_CREATE", bind=True, name="count")
def count(self: Any, data: Any, dispatch: Dispatch) -> None:
    record("count", dispatch, data, retries=self.request.retries)
