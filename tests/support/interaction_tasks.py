"""Handlers of interactions, for a worker that a simulated Discord looks at."""

from typing import Any

from gateway_service import Dispatch, on
from tests.support.recording import record

EXPIRES_S = 100.0  # a busy machine is late


@on("INTERACTION_CREATE", expires_s=EXPIRES_S)
def plain(data: Any, dispatch: Dispatch) -> None:
    record("plain", dispatch, data)


@on("INTERACTION_CREATE", bind=True, defer=True, expires_s=EXPIRES_S, max_retries=1)
def deferred(self: Any, data: Any, dispatch: Dispatch) -> None:
    record("deferred", dispatch, data, retries=self.request.retries)
    if data.get("wish") == "retry" and not self.request.retries:
        raise self.retry(countdown=3)
