"""Hears the gateway-shard events of every supervisor, in a thread with a broker connection of its own."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn

from celery import Celery

from gateway_service.contract import SHARD_EVENT
from gateway_service.telemetry import LogEvent, log_event, redact

_log: Final = logging.getLogger(__name__)

_ROUTING_KEY: Final = "gateway.#"
_HEARTBEAT_S: Final = 10
_IDLE_S: Final = 1.0
_AGAIN_AFTER_S: Final = 2.0


class Listener:
    """Calls ``heard`` with the fields of each event; a lost connection is made again."""

    def __init__(self, app: Celery, heard: Callable[[Mapping[str, Any]], None]) -> None:
        self._app = app
        self._heard = heard

    def start(self) -> None:
        threading.Thread(target=self.run, name="gateway-shard-events", daemon=True).start()

    def run(self) -> None:
        """Listen without end."""
        is_first = True
        while True:
            try:
                with self._app.connection_for_read(heartbeat=_HEARTBEAT_S) as connection:
                    receiver = self._app.events.Receiver(
                        connection, handlers={SHARD_EVENT: self._heard}, routing_key=_ROUTING_KEY
                    )
                    with receiver.consumer_context(wakeup=False) as (used, _channel, _consumers):
                        _hear(used)
            except Exception as exc:  # noqa: BLE001 - Flower goes on, and the page shows that it hears nothing
                if is_first:
                    log_event(_log, logging.WARNING, LogEvent.CONTROL_ROAD_LOST, reason=redact(str(exc) or repr(exc)))
                is_first = False
                time.sleep(_AGAIN_AFTER_S)


def _hear(connection: Any) -> NoReturn:
    """Handle events until the connection is lost.

    Its loop is ours because that of kombu looks after heartbeats only in a second without any event: where one comes
    every second it neither sends a heartbeat nor sees that the broker is gone.
    """
    while True:
        with suppress(TimeoutError):
            connection.drain_events(timeout=_IDLE_S)
        connection.heartbeat_check()
