"""How a worker turns a message into task runs: one broker message of an event into one run for each handler.

A strategy is Celery's function from a received message to requests for its pool; ``Task.Strategy`` names it.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from celery import Task, signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.exceptions import InvalidTaskError
from celery.utils.log import get_logger
from celery.worker.strategy import default as celery_strategy

from gateway_service.contract import MAX_REDELIVERIES, Dispatch
from gateway_service.worker.acks import acks_of
from gateway_service.worker.ages import Ages, ages_of
from gateway_service.worker.capabilities import has_quorum_queues
from gateway_service.worker.dead import REASON_HEADER, bury, burying
from gateway_service.worker.forwarding import forward, forwarding
from gateway_service.worker.gather import Again, Gather, Part, Settle, Verdict
from gateway_service.worker.handlers import QUEUE_HEADER
from gateway_service.worker.inline import InlineTask, Run, runs_inline
from gateway_service.worker.order import in_guild_order, order_of
from gateway_service.worker.redeliveries import counting, is_second_hand
from gateway_service.worker.request import HandlerRequest, InProcessRequest, addressed
from gateway_service.worker.serialization import CONTENT_TYPE, UndecodableBody, decode_task_body

_log = get_logger(__name__)

OnMessage = Callable[[Any, Any, Settle, Settle, Any], Any]


class EventTask(Task):
    """Stands for an event under the name its messages carry; never runs itself."""

    abstract = True
    Strategy = "gateway_service.worker.strategy:fan_out"
    ignore_result = True

    def __init__(
        self,
        name: str,
        group: str,
        queue: str,
        handlers: Sequence[str],
        *,
        ttl_s: float | None = None,
        is_ordered: bool = False,
    ) -> None:
        """Make the task of one event.

        Args:
            name: ``gateway.<EVENT>``.
            group: The subscriber group of the handlers.
            queue: The queue its messages come from; for an ordered event that of its lane is told by the guild.
            handlers: Task names, in the order they were registered.
            ttl_s: What was received longer ago is not handled.
            is_ordered: Messages of one guild are handled one after the other.
        """
        self.name = name
        self.group = group
        self.queue = queue
        self.handlers = tuple(handlers)
        self.ttl_s = ttl_s
        self.is_ordered = is_ordered


def fan_out(task: EventTask, app: Any, consumer: Any) -> OnMessage:
    """Strategy of an event: run every handler from one broker message, each as its own task."""
    strategies = consumer.strategies
    # Handlers must not see each other's changes to the payload.
    may_share_payload = _runs_elsewhere(consumer.pool)
    has_siblings = len(task.handlers) > 1
    is_inline = runs_inline(consumer)
    acks = acks_of(consumer) if is_inline else None
    inline_tasks = [InlineTask(app.tasks[name], app, consumer) if is_inline else None for name in task.handlers]
    is_counted = has_quorum_queues(consumer.connection)

    def on_message(message: Any, _body: Any, ack: Settle, reject: Settle, callbacks: Any) -> None:
        if acks is not None and acks.takes(message):
            ack = acks.acknowledging(message)
        message.headers[QUEUE_HEADER] = task.queue
        reject = (burying if is_counted else counting)(app, message, ack, reject)
        if not is_counted and is_second_hand(message):
            reject(_log, consumer.connection_errors, requeue=True)
            return
        try:
            payload = _payload_of_dispatch(message)
        except UndecodableBody as exc:
            refuse(consumer, message, reject, exc)
            return
        gather = Gather(len(task.handlers), ack, reject)

        def start(headers: dict[str, Any], own: list[Any], again: Again | None) -> None:
            part, run = Part(gather, again), addressed(message, headers, own)
            try:
                strategies[headers["task"]](run, None, part.acknowledge, part.reject, callbacks)
            except InvalidTaskError as exc:
                refuse(consumer, run, part.reject, exc)

        for position, (handler, inline_task) in enumerate(zip(task.handlers, inline_tasks, strict=True)):
            own = payload if may_share_payload or position == 0 else _decoded(message)
            headers = _headers_for(message, task, handler)
            again: Again | None = None
            if task.is_ordered:
                again = running_again(app, message, headers, partial(start, headers, own), MAX_REDELIVERIES)
            elif has_siblings:
                again = forwarding(app, message, headers)
            if inline_task:
                part = Part(gather, again)
                if inline_task.run(Run(message, headers, own, part.acknowledge, part.reject)):
                    continue
            start(headers, own, again)

    receive: OnMessage = measuring(ages_of(app), on_message)
    if not task.is_ordered:
        receive = splitting(task, partial(forward, app), receive)
    elif may_share_payload:  # in this process alone they run one after the other anyway
        receive = in_guild_order(receive, order_of(consumer))
    return receive if task.ttl_s is None else within_ttl(task.ttl_s, receive)


def run_one(task: Any, app: Any, consumer: Any) -> OnMessage:
    """Strategy of a single task whose body is decoded exactly: a handler, or a task named after an event."""
    task.Request = HandlerRequest if _runs_elsewhere(consumer.pool) else InProcessRequest
    run = celery_strategy(task, app, consumer)
    is_inline = runs_inline(consumer)
    acks = acks_of(consumer) if is_inline else None
    inline_task = InlineTask(task, app, consumer) if is_inline else None
    is_counted = has_quorum_queues(consumer.connection)

    def on_message(message: Any, body: Any, ack: Settle, reject: Settle, callbacks: Any) -> Any:
        # A copy made by fan_out is decoded, and its reject belongs to a Gather.
        if message._decoded_cache is None:  # noqa: SLF001 - kombu's memo of Message.decode()
            if acks is not None and acks.takes(message):
                ack = acks.acknowledging(message)
            reject = (burying if is_counted else counting)(app, message, ack, reject)
            if not is_counted and is_second_hand(message):
                reject(_log, consumer.connection_errors, requeue=True)
                return None
            try:
                payload = message._decoded_cache = _decoded(message)  # noqa: SLF001
            except UndecodableBody as exc:
                refuse(consumer, message, reject, exc)
                return None
            if inline_task and inline_task.run(Run(message, message.headers, payload, ack, reject)):
                return None
        message.content_type = CONTENT_TYPE  # for the pool process, which decodes the body again
        return run(message, body, ack, reject, callbacks)

    return on_message


def running_again(
    app: Any, message: Any, headers: dict[str, Any], start: Callable[[Again | None], None], times: int
) -> Again:
    """Return what a part of an ordered event does when its run has to be made again: here, or it comes out of turn."""

    def again() -> Verdict | None:
        if times:
            start(running_again(app, message, headers, start, times - 1))
            return None
        try:
            bury(app, message, headers, "its process died over it again and again")
        except Exception:  # noqa: BLE001 - whatever it is, the message as a whole can be buried
            return Verdict.DEAD
        return Verdict.ACKNOWLEDGED

    return again


def splitting(task: EventTask, send: Callable[[Any, dict[str, Any]], None], on_message: OnMessage) -> OnMessage:
    """Return an ``on_message`` that makes one message for each handler of what is given out a second time.

    A worker was lost over it, perhaps by one of the handlers: that one must not take the others with it again.
    """
    if len(task.handlers) == 1:
        return on_message

    def split(message: Any, body: Any, ack: Settle, reject: Settle, callbacks: Any) -> None:
        if not message.delivery_info.get("redelivered"):
            on_message(message, body, ack, reject, callbacks)
            return
        try:
            for handler in task.handlers:
                send(message, _headers_for(message, task, handler))
        except Exception:  # noqa: BLE001 - whatever it is, the message as a whole can still be run
            _log.exception("Message %s cannot be divided among its handlers", message.headers.get("id"))
            on_message(message, body, ack, reject, callbacks)
        else:
            ack(_log, ())

    return split


def measuring(ages: Ages, on_message: OnMessage) -> OnMessage:
    """Return an ``on_message`` that notes how old the dispatch is."""

    def measured(message: Any, body: Any, ack: Settle, reject: Settle, callbacks: Any) -> None:
        ages.observe(message.headers.get("received_at"))
        on_message(message, body, ack, reject, callbacks)

    return measured


def within_ttl(ttl_s: float, on_message: OnMessage) -> OnMessage:
    """Return an ``on_message`` that lets go of what was received longer ago than the route of its event allows."""

    def fresh(message: Any, body: Any, ack: Settle, reject: Settle, callbacks: Any) -> None:
        received_at = message.headers.get("received_at")
        if isinstance(received_at, int | float) and time.time() - received_at > ttl_s:
            _log.debug("Message %s is older than %g s and is let go", message.headers.get("id"), ttl_s)
            ack(_log, ())
        else:
            on_message(message, body, ack, reject, callbacks)

    return fresh


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
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise UndecodableBody(f"its headers are not those of a dispatch: {exc!r}") from None
    return payload


def _headers_for(message: Any, task: EventTask, handler: str) -> dict[str, Any]:
    """Return the headers of ``message`` as if it were addressed to one handler."""
    return {
        **message.headers,
        "task": handler,
        # Its own id, because Celery keeps states, results and revocations by id.
        "id": f"{message.headers['id']}.{task.group}.{handler}",
        QUEUE_HEADER: task.queue,
    }
