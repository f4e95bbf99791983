"""Where a message goes that leads nowhere: ``gateway.dead``, with the reason in a header."""

import time
from collections.abc import Mapping
from typing import Any, Final

from celery.exceptions import Reject
from celery.utils.log import get_logger

from gateway_service.contract import DEAD_QUEUE
from gateway_service.worker.confirmed import publish_copy
from gateway_service.worker.gather import Settle

REASON_HEADER: Final = "reason"
DIED_AT_HEADER: Final = "died_at"
"""UNIX seconds."""

_log = get_logger(__name__)


def bury(app: Any, message: Any, headers: Mapping[str, Any], reason: str) -> None:
    """Put a copy of a message on ``gateway.dead``; returns when the broker has it.

    Args:
        app: The Celery application.
        message: What the broker gave out.
        headers: Those of the message, or of the one run that is dead.
        reason: What an operator reads; it never holds content.
    """
    marked = {**headers, REASON_HEADER: reason, DIED_AT_HEADER: time.time()}
    publish_copy(app, message, marked, routing_key=DEAD_QUEUE)
    _log.error("Message %s of %s goes to %s: %s", headers.get("id"), headers.get("task"), DEAD_QUEUE, reason)


def burying(app: Any, message: Any, acknowledge: Settle, reject: Settle) -> Settle:
    """Return a reject that buries the message; RabbitMQ's own dead-lettering would lose the reason, Redis has none."""

    def bury_and_acknowledge(logger: Any, errors: Any, requeue: bool = False) -> None:
        if requeue:
            reject(logger, errors, requeue)
            return
        try:
            bury(app, message, message.headers, message.headers.get(REASON_HEADER) or "rejected")
        except Exception:  # noqa: BLE001 - whatever the broker client raises
            _log.exception("Message %s cannot be put on %s by us", message.headers.get("id"), DEAD_QUEUE)
            reject(logger, errors, requeue)
        else:
            acknowledge(logger, errors)

    return bury_and_acknowledge


def reason_of(error: BaseException | None, retries: int) -> str:
    """Return why a run is dead. The text of the error is left to the log: it may hold content."""
    if error is None or isinstance(error, Reject):
        return "rejected by its handler"
    after = {0: "", 1: " after a retry"}.get(retries, f" after {retries} retries")
    return f"raised {type(error).__name__}{after}"
