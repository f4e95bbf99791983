"""The fast path of a solo pool: a task runs at once, in the worker's own process, without Celery's request object.

Celery makes a request, hands it through a pool that only calls it, decodes the body again, and writes one
acknowledgement after each task. Here the payload that was decoded once goes straight into the task's own tracer, so
that retries, chains, results, signals and tracebacks are Celery's. Only a message that asks for nothing else takes this
way, and a task that did not succeed gets its request after all: what follows from that is Celery's as well.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from celery import signals
from celery.app import trace
from celery.concurrency.base import apply_target
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import WorkerShutdown, WorkerTerminate
from celery.worker import request as request_module
from celery.worker import state
from celery.worker.request import create_request_cls
from celery.worker.strategy import logger as strategy_log

from gateway_service.worker.announcements import Announcements
from gateway_service.worker.gather import Settle
from gateway_service.worker.request import InProcessRequest, addressed

SETTING: Final = "gateway_fast_path"


def runs_inline(consumer: Any) -> bool:
    """Tell whether the worker of a Celery consumer has a fast path."""
    conf = consumer.app.conf
    return (
        type(consumer.pool) is SoloPool
        and bool(conf.get(SETTING, True))
        # These two want a request of each task.
        and not conf.worker_deduplicate_successful_tasks
        and not request_module.logger.isEnabledFor(logging.DEBUG)
    )


@dataclass(slots=True)
class Run:
    """What one task is to be run with."""

    message: Any
    headers: dict[str, Any]
    payload: list[Any]
    """``[args, kwargs, embed]``."""
    acknowledge: Settle
    reject: Settle


class InlineTask:
    """Runs one task; like a strategy it is made anew for each connection."""

    def __init__(self, task: Any, app: Any, consumer: Any) -> None:
        self._task = task
        self._app = app
        self._consumer = consumer
        self._announcements = Announcements(consumer.event_dispatcher, task)
        self._announces_received = self._announcements.is_on
        self._is_logged = strategy_log.isEnabledFor(logging.INFO)
        self._make_request = create_request_cls(
            InProcessRequest, task, consumer.pool, consumer.hostname, consumer.event_dispatcher, app=app
        )

    def run(self, run: Run) -> bool:
        """Run the task now and settle its message; False when it has to take Celery's way."""
        if self._is_unusual(run.headers):
            return False
        self._receive(run.headers)
        task, task_id = self._task, run.headers["id"]
        args, kwargs, _ = run.payload
        state.total_count[task.name] += 1
        state.all_total_count[0] += 1
        if not task.acks_late:
            run.acknowledge(request_module.logger, self._consumer.connection_errors)
        self._announcements.add("task-started", {"uuid": task_id})
        try:
            result, info, runtime, shown = task.__trace__(task_id, args, kwargs, self._context(run))
        except (Exception, WorkerShutdown, WorkerTerminate):
            raise
        except BaseException as exc:  # noqa: BLE001 - handed on to Celery
            self._finish_with_request(run, _raising(exc))
            return True
        if info:
            self._finish_with_request(run, lambda: (1, result, runtime))
            return True
        if task.acks_late:
            run.acknowledge(request_module.logger, self._consumer.connection_errors)
        self._announcements.finish("task-succeeded", {"uuid": task_id, "result": shown, "runtime": runtime})
        return True

    def _is_unusual(self, headers: dict[str, Any]) -> bool:
        """Tell whether a message asks for more than to be run now. See Celery: Message Protocol, version 2."""
        wish, consumer = headers.get, self._consumer
        return bool(
            wish("eta")
            or wish("expires")
            or wish("stamped_headers")
            or wish("shadow")
            or headers["id"] in state.revoked
            or signals.task_received.receivers
            or consumer.on_task_message
            or (not consumer.disable_rate_limits and consumer.task_buckets[self._task.name])
        )

    def _receive(self, headers: dict[str, Any]) -> None:
        """Log and announce the task as Celery's own strategy does."""
        shown_args, shown_kwargs = headers.get("argsrepr", ""), headers.get("kwargsrepr", "")
        if self._is_logged:
            context = {
                "id": headers["id"],
                "name": self._task.name,
                "args": shown_args,
                "kwargs": shown_kwargs,
                "eta": None,
            }
            strategy_log.info(trace.LOG_RECEIVED, context, extra={"data": context})
        if self._announces_received:
            self._announcements.add(
                "task-received",
                {
                    "uuid": headers["id"],
                    "name": self._task.name,
                    "args": shown_args,
                    "kwargs": shown_kwargs,
                    "root_id": headers.get("root_id"),
                    "parent_id": headers.get("parent_id"),
                    "retries": headers.get("retries", 0),
                    "eta": None,
                    "expires": None,
                },
            )

    def _context(self, run: Run) -> dict[str, Any]:
        """Return what the task sees as ``self.request``."""
        properties, delivery = run.message.properties, run.message.delivery_info
        args, kwargs, embed = run.payload
        return {
            **run.headers,
            "properties": properties,
            "reply_to": properties.get("reply_to"),
            "correlation_id": properties.get("correlation_id"),
            "hostname": self._consumer.hostname,
            "delivery_info": {
                "exchange": delivery.get("exchange"),
                "routing_key": delivery.get("routing_key"),
                "priority": properties.get("priority"),
                "redelivered": delivery.get("redelivered", False),
            },
            "args": args,
            "kwargs": kwargs,
            "is_eager": False,
            **(embed or {}),
        }

    def _finish_with_request(self, run: Run, outcome: Callable[[], Any]) -> None:
        """Let Celery do what follows from a run that did not succeed."""
        consumer = self._consumer
        request = self._make_request(
            addressed(run.message, run.headers, run.payload),
            on_ack=run.acknowledge,
            on_reject=run.reject,
            app=self._app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=self._task,
            connection_errors=consumer.connection_errors,
            headers=run.headers,
        )
        request.acknowledged = not self._task.acks_late
        apply_target(outcome, callback=request.on_success)


def _raising(error: BaseException) -> Callable[[], Any]:
    def target() -> Any:
        raise error

    return target
