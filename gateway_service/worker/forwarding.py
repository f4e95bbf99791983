"""Sending a handler's run on as a message of its own, so that what happens to it is nobody else's matter."""

from collections.abc import Callable, Mapping
from typing import Any

from celery.utils.log import get_logger

from gateway_service.contract import RETRIES_EXCHANGE
from gateway_service.worker.confirmed import publish_copy
from gateway_service.worker.gather import Verdict
from gateway_service.worker.handlers import QUEUE_HEADER

_log = get_logger(__name__)


def forward(app: Any, message: Any, headers: Mapping[str, Any]) -> None:
    """Put a run into its own queue, as a message for one handler; returns when the broker has it.

    Args:
        app: The Celery application.
        message: What the broker gave out.
        headers: Those of the run: its task, its id, its queue.
    """
    publish_copy(app, message, headers, exchange=RETRIES_EXCHANGE, routing_key=headers[QUEUE_HEADER])


def forwarding(app: Any, message: Any, headers: Mapping[str, Any]) -> Callable[[], Verdict]:
    """Return what a part does when its run has to be made again: its own message takes over from the shared one."""

    def again() -> Verdict:
        try:
            forward(app, message, headers)
        except Exception:  # noqa: BLE001 - whatever it is, the shared message is still the broker's
            _log.exception("%s cannot be sent on; its message is given out again to all handlers", headers["id"])
            return Verdict.REQUEUED
        return Verdict.ACKNOWLEDGED

    return again
