"""A handler that takes a while, in a worker that misses its broker soon."""

import time
from typing import Any

from gateway_service import Dispatch, on
from gateway_service.worker import app
from tests.support.recording import record

app.conf.broker_heartbeat = 2


@on("MESSAGE_CREATE")
def taking_a_while(data: Any, dispatch: Dispatch) -> None:
    time.sleep(0.02)  # so that what the worker has read takes it several turns
    record("taking_a_while", dispatch, data)
