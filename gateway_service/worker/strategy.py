"""How a worker turns a message into task runs: one broker message of an event into one run for each handler.

A strategy is Celery's function from a received message to requests for its pool; ``Task.Strategy`` names it.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from celery import Task, signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.exceptions import InvalidTaskError
from celery.utils.log import get_logger
from celery.worker.strategy import default as celery_strategy

from gateway_service.contract import Dispatch
from gateway_service.worker.dead import REASON_HEADER, burying
from gateway_service.worker.gather import Gather, Part, Settle
from gateway_service.worker.handlers import QUEUE_HEADER
from gateway_service.worker.request import HandlerRequest, InProcessRequest
from gateway_service.worker.serialization import CONTENT_TYPE, UndecodableBody, decode_task_body

_log = get_logger(__name__)

OnMessage = Callable[[Any, Any, Settle, Settle, Any], Any]


class EventTask(Task):
    """Stands for an event under the name its messages carry; never runs itself."""

    abstract = True
    Strategy = "gateway_service.worker.strategy:fan_out"
    ignore_result = True

    def __init__(self, name: str, group: str, queue: str, handlers: Sequence[str]) -> None:
        """Make the task of one event.

        Args:
            name: ``gateway.<EVENT>``.
            group: The subscriber group of the handlers.
            queue: The queue its messages come from.
            handlers: Task names, in the order they were registered.
        """
        self.name = name
        self.group = group
        self.queue = queue
        self.handlers = tuple(handlers)


def fan_out(task: EventTask, app: Any, consumer: Any) -> OnMessage:
    """Strategy of an event: run every handler from one broker message, each as its own task."""
    strategies = consumer.strategies
    # Handlers must not see each other's changes to the payload.
    may_share_payload = _runs_elsewhere(consumer.pool)

    def on_message(message: Any, _body: Any, ack: Settle, reject: Settle, callbacks: Any) -> None:
        message.headers[QUEUE_HEADER] = task.queue
        reject = burying(app, message, ack, reject)
        try:
            payload = _payload_of_dispatch(message)
        except UndecodableBody as exc:
            refuse(consumer, message, reject, exc)
            return
        gather = Gather(len(task.handlers), ack, reject)
        for position, handler in enumerate(task.handlers):
            own = payload if may_share_payload or position == 0 else _decoded(message)
            part = Part(gather)
            run = _message_for(message, task, handler, own)
            try:
                strategies[handler](run, None, part.acknowledge, part.reject, callbacks)
            except InvalidTaskError as exc:
                refuse(consumer, run, part.reject, exc)

    return on_message


def run_one(task: Any, app: Any, consumer: Any) -> OnMessage:
    """Strategy of a single task whose body is decoded exactly: a handler, or a task named after an event."""
    task.Request = HandlerRequest if _runs_elsewhere(consumer.pool) else InProcessRequest
    run = celery_strategy(task, app, consumer)

    def on_message(message: Any, body: Any, ack: Settle, reject: Settle, callbacks: Any) -> Any:
        # A copy made by fan_out is decoded, and its reject belongs to a Gather.
        if message._decoded_cache is None:  # noqa: SLF001 - kombu's memo of Message.decode()
            reject = burying(app, message, ack, reject)
            try:
                message._decoded_cache = _decoded(message)  # noqa: SLF001
            except UndecodableBody as exc:
                refuse(consumer, message, reject, exc)
                return None
        message.content_type = CONTENT_TYPE  # for the pool process, which decodes the body again
        return run(message, body, ack, reject, callbacks)

    return on_message


def refuse(consumer: Any, message: Any, reject: Settle, reason: Exception) -> None:
    """Send a message that cannot be run to ``gateway.dead``; Celery would acknowledge it, and it were lost."""
    message.headers = {**message.headers, REASON_HEADER: str(reason)}
    reject(_log, consumer.connection_errors, False)
    signals.task_rejected.send(sender=consumer, message=message, exc=reason)


def _runs_elsewhere(pool: Any) -> bool:
    """Tell whether handlers run in other processes than this one."""
    return isinstance(pool, PreforkPool)


def _decoded(message: Any) -> list[Any]:
    return decode_task_body(message.body, message.content_type)


def _payload_of_dispatch(message: Any) -> list[Any]:
    """Return the decoded body of a gateway's message.

    Raises:
        UndecodableBody: Body or headers are not what the contract says.
    """
    payload = _decoded(message)
    if len(payload[0]) != 1 or payload[1]:
        raise UndecodableBody("its body does not hold one payload")
    try:
        Dispatch.from_headers(message.headers)
    except (KeyError, TypeError, ValueError) as exc:
        raise UndecodableBody(f"its headers are not those of a dispatch: {exc!r}") from None
    return payload


def _message_for(message: Any, task: EventTask, handler: str, payload: list[Any]) -> Any:
    """Return a copy of ``message`` addressed to one handler; it shares everything that is only read."""
    run = copy.copy(message)
    run.headers = {
        **message.headers,
        "task": handler,
        # Its own id, because Celery keeps states, results and revocations by id.
        "id": f"{message.headers['id']}.{task.group}.{handler}",
        QUEUE_HEADER: task.queue,
    }
    run._decoded_cache = payload  # noqa: SLF001 - kombu's memo of Message.decode()
    return run
