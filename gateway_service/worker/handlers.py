"""A handler: a plain function that becomes one Celery task, run for each dispatch it names."""

import functools
import inspect
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from celery import Task
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject

from gateway_service.contract import Dispatch
from gateway_service.worker.confirmed import confirming_producers
from gateway_service.worker.serialization import SERIALIZER

QUEUE_HEADER: Final = "queue"
"""Header that tells a handler's task from which queue it came, and to which its retries go."""
REQUEUES_HEADER: Final = "requeues"
"""Header that counts how often an operator took a handler's message out of ``gateway.dead``."""

_HIDDEN: Final = "(...)"


class HandlerTask(Task):
    """One handler as a Celery task: its message holds the payload, its headers hold the :class:`Dispatch`."""

    abstract = True
    Strategy = "gateway_service.worker.strategy:run_one"
    serializer = SERIALIZER
    # Celery's own default is three minutes: an age for a chat, and beyond the visibility timeout on Redis.
    default_retry_delay = 5
    # A run that failed for good goes to gateway.dead. See HandlerRequest.
    acks_on_failure = False
    acks_on_timeout = True
    # See Guards.
    once_keep_s: float | None = None
    expires_s: float | None = None
    defer: bool | str = False

    def signature_from_request(
        self, request: Any = None, args: Any = None, kwargs: Any = None, queue: str | None = None, **options: Any
    ) -> Any:
        """Address a retry to the queue that the dispatch came from.

        Celery would send it to the exchange and key of the original message, where every group hears it.
        """
        request = self.request if request is None else request
        if queue is None and request.headers:
            queue = request.headers.get(QUEUE_HEADER)
        # Celery would show the arguments anew, chat content and all; the first message hides them.
        shown = {"argsrepr": request.get("argsrepr", _HIDDEN), "kwargsrepr": request.get("kwargsrepr", _HIDDEN)}
        return super().signature_from_request(request, args, kwargs, queue=queue, **shown, **options)

    def retry(self, *args: Any, **options: Any) -> Any:
        try:
            return super().retry(*args, **options)
        except MaxRetriesExceededError:
            # Celery's text holds the arguments, and with them chat content, for every log to see.
            raise MaxRetriesExceededError(f"{self.name} gave up on {self.request.id} after its last retry") from None

    def put_off(self, delay_s: float) -> NoReturn:
        """End this run before it began, and have it made later; no retry is counted.

        Raises:
            Ignore: The broker has the later run.
            Reject: The broker does not take it, so it shall give out this one again.
        """
        later = self.signature_from_request(countdown=delay_s, retries=self.request.retries)
        try:
            later.apply_async()
        except Exception as exc:
            raise Reject(exc, requeue=True) from exc
        raise Ignore(f"put off for {delay_s:.1f} s")

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, producer: Any = None, **options: Any
    ) -> Any:
        round_delay_up(options)
        if producer is not None or self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id=task_id, producer=producer, **options)
        # The message that a retry replaces is acknowledged next, so the broker must have confirmed the retry.
        with confirming_producers(self.app).acquire(block=True) as confirming:
            return super().apply_async(args, kwargs, task_id=task_id, producer=confirming, **options)


def round_delay_up(options: dict[str, Any]) -> None:
    """Make a delay whole seconds, never shorter than asked for.

    Celery cuts the fraction off for RabbitMQ's delayed delivery: 1.9 s become 1 s, and below one second it
    fails. See celery.app.base.Celery.send_task and kombu.transport.native_delayed_delivery.
    """
    eta = options.get("eta")
    if isinstance(eta, datetime):
        del options["eta"]
        aware = eta if eta.tzinfo else eta.replace(tzinfo=UTC)
        options["countdown"] = (aware - datetime.now(UTC)).total_seconds()
    if options.get("countdown") is not None:
        options["countdown"] = max(0, math.ceil(options["countdown"]))


def as_task_function(function: Callable[..., Any], *, bind: bool) -> Callable[..., Any]:
    """Return what Celery calls for ``function``: the second argument may be left out and comes from the headers.

    Raises:
        TypeError: ``function`` cannot be called as a handler.
    """
    check_handler(function, bind=bind)
    if bind:

        def run(task: Any, data: Any, dispatch: Dispatch | None = None) -> Any:
            return function(task, data, dispatch or _dispatch_of(task))

    else:

        def run(task: Any, data: Any, dispatch: Dispatch | None = None) -> Any:
            return function(data, dispatch or _dispatch_of(task))

    return functools.update_wrapper(run, function)


def _dispatch_of(task: Any) -> Dispatch:
    if not task.request.headers:
        raise TypeError(f"{task.name} was called without a Dispatch")
    return Dispatch.from_headers(task.request.headers)


def check_handler(function: Callable[..., Any], *, bind: bool) -> None:
    """Refuse at import what would lose dispatches at run time.

    Raises:
        TypeError: It is a coroutine function or does not take a payload and a :class:`Dispatch`.
    """
    name = getattr(function, "__qualname__", repr(function))
    if isinstance(function, Task):
        raise TypeError(f"{name} is a handler already: name all its events in one on(...)")
    if not callable(function) or not getattr(function, "__name__", "").isidentifier():
        # Celery names a task after its function, and compiles that name.
        raise TypeError(f"on(...) takes a function that has a name, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} is async, and a Celery task is not: make it 'def', or run the coroutine inside")
    wanted = ("self, " if bind else "") + "data, dispatch"
    try:
        inspect.signature(function).bind(*wanted.split(", "))
    except TypeError:
        raise TypeError(f"{name} must take ({wanted})") from None
