"""Celery's consumer, with nothing lost: what it would acknowledge or drop goes to ``gateway.dead``."""

from typing import Any, Final

from celery import signals
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer

from gateway_service.worker.dead import REASON_HEADER, burying
from gateway_service.worker.handlers import QUEUE_HEADER

_log = get_logger(__name__)

CONSUMER_PATH: Final = "gateway_service.worker.consumer:BuryingConsumer"


class BuryingConsumer(Consumer):
    """Buries messages that no strategy gets to see. Celery's own methods also log their bodies, with chat content."""

    def on_unknown_task(self, _body: Any, message: Any, exc: Exception) -> None:
        name, task_id = message.headers.get("task"), message.headers.get("id")
        self._bury(message, f"no task is named {name!r} here")
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=task_id)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        self._bury(message, "its headers are not those of a task")
        signals.task_rejected.send(sender=self, message=message, exc=None)

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        self._bury(message, f"it is not the message of a task: {type(exc).__name__}")
        signals.task_rejected.send(sender=self, message=message, exc=exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._bury(message, f"its body cannot be decoded: {type(exc).__name__}")

    def _bury(self, message: Any, reason: str) -> None:
        message.headers = {**(message.headers or {}), REASON_HEADER: reason, QUEUE_HEADER: self._queue_of(message)}
        bury = burying(self.app, message, message.ack_log_error, message.reject_log_error)
        bury(_log, self.connection_errors)

    def _queue_of(self, message: Any) -> str | None:
        """Return the name of the queue that a message came from, as far as the broker tells it."""
        delivery = message.delivery_info
        for queue, tag in self.task_consumer._active_tags.items():  # noqa: SLF001 - kombu has no other way
            if tag == delivery.get("consumer_tag"):
                return str(queue)
        key = delivery.get("routing_key")
        return key if key in self.app.amqp.queues else None
