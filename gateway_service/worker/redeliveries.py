"""The delivery limit where the broker has none: a message that takes its worker down again and again ends dead.

RabbitMQ counts how often it gave a message out. Redis does not, so the worker puts such a message into its queue anew,
with the number in a header.
"""

from typing import Any, Final

from celery.utils.log import get_logger

from gateway_service.contract import MAX_REDELIVERIES
from gateway_service.worker.confirmed import publish_copy
from gateway_service.worker.dead import REASON_HEADER, burying
from gateway_service.worker.gather import Settle
from gateway_service.worker.handlers import QUEUE_HEADER

REDELIVERIES_HEADER: Final = "redeliveries"
GIVEN_OUT_TOO_OFTEN: Final = f"its worker was lost {MAX_REDELIVERIES + 1} times"

_log = get_logger(__name__)


def is_second_hand(message: Any) -> bool:
    """Tell whether the broker gave this very message out before, to a worker that did not finish."""
    return bool((message.delivery_info or {}).get("redelivered"))


def counting(app: Any, message: Any, acknowledge: Settle, reject: Settle) -> Settle:
    """Return a reject that gives a message out again with one delivery more on its account, or buries it."""
    bury = burying(app, message, acknowledge, reject)

    def count_and_reject(logger: Any, errors: Any, requeue: bool = False) -> None:
        count = message.headers.get(REDELIVERIES_HEADER, 0) + 1
        if requeue and count > MAX_REDELIVERIES:
            message.headers[REASON_HEADER] = GIVEN_OUT_TOO_OFTEN
            requeue = False
        if not requeue:
            bury(logger, errors)
            return
        try:
            _give_out_again(app, message, count)
        except Exception:  # noqa: BLE001 - whatever the broker client raises
            _log.exception("Message %s cannot be given out again by us", message.headers.get("id"))
            reject(logger, errors, requeue)
        else:
            acknowledge(logger, errors)

    return count_and_reject


def _give_out_again(app: Any, message: Any, count: int) -> None:
    queue = message.headers.get(QUEUE_HEADER) or message.delivery_info["routing_key"]
    publish_copy(app, message, {**message.headers, REDELIVERIES_HEADER: count}, routing_key=queue)
