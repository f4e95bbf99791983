"""Sending a handler's run on as a message of its own, so that what happens to it is nobody else's matter."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from celery.utils.log import get_logger

from gateway_service.contract import RETRIES_EXCHANGE
from gateway_service.worker.gather import Verdict
from gateway_service.worker.handlers import QUEUE_HEADER, confirming_producers

# The pool of processes may have reset a connection that it inherited from us; the first attempt finds that out.
_RETRY_POLICY: Final = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2}

_log = get_logger(__name__)


def forward(app: Any, message: Any, headers: Mapping[str, Any]) -> None:
    """Put a run into its own queue, as a message for one handler; returns when the broker has it.

    Args:
        app: The Celery application.
        message: What the broker gave out.
        headers: Those of the run: its task, its id, its queue.
    """
    with confirming_producers(app).acquire(block=True) as producer:
        producer.publish(
            message.body,
            exchange=RETRIES_EXCHANGE,
            routing_key=headers[QUEUE_HEADER],
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers=dict(headers),
            correlation_id=headers["id"],
            delivery_mode="persistent",
            retry=True,
            retry_policy=_RETRY_POLICY,
        )


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
