"""Celery's event dispatcher, which may not hold up the worker that it tells of."""

from typing import Any, Final

from celery.events.dispatcher import EventDispatcher

DISPATCHER_PATH: Final = "gateway_service.worker.dispatcher:ImpatientDispatcher"
# Once, at once; what still fails is kept until the next event.
_RETRY_POLICY: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class ImpatientDispatcher(EventDispatcher):
    """Lets go of a broker that does not answer. Celery's tries for ever, in the loop that handles messages."""

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002 - Celery's name
        return super().send(type, **{"retry_policy": _RETRY_POLICY, **fields})
