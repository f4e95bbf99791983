"""The handlers of one subscriber group, and what a worker must know to run them."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from celery import Celery
from celery.concurrency import get_implementation
from celery.signals import celeryd_after_setup, celeryd_init
from celery.utils.text import str_to_list

from gateway_service.contract import DEFAULT_GROUP, TASK_PREFIX, event_token, queue_name
from gateway_service.errors import ConfigurationError
from gateway_service.worker.capabilities import has_quorum_queues
from gateway_service.worker.guards import DEFAULT_EXPIRES_S, Defer, guards_of
from gateway_service.worker.handlers import HandlerTask, as_task_function
from gateway_service.worker.lateness import lateness_of
from gateway_service.worker.once import KEEP_S, announce_store
from gateway_service.worker.reading import ReadInBatches
from gateway_service.worker.silence import QuietNode
from gateway_service.worker.strategy import EventTask
from gateway_service.worker.topology import DeclareSharedQueues, queue_of_token

Handler = Callable[..., Any]

# What a handler runs from and where its retries go is decided here; an option of that kind would be overruled.
_OURS: Final = frozenset({"base", "serializer", "queue", "exchange", "routing_key", "lazy", "shared"})
_CELERYS_OWN: Final = "celery."


class Gateway:
    """Connects functions to dispatches, as tasks of one Celery application."""

    def __init__(self, app: Celery, group: str = DEFAULT_GROUP) -> None:
        """Make a group of handlers.

        Args:
            app: The application that gets the tasks and whose workers run them.
            group: Handlers of one group share one copy of each dispatch.
        """
        self.app = app
        self.group = group
        self._handlers: dict[str, list[str]] = {}
        """Task names by event token."""
        self._uses_once = False
        lateness_of(app)  # before the pool forks
        app.steps["consumer"].update((DeclareSharedQueues, ReadInBatches))
        celeryd_init.connect(self._prepare_worker, weak=False)
        celeryd_after_setup.connect(self._announce, weak=False)

    def on(
        self,
        *events: str,
        bind: bool = False,
        name: str | None = None,
        once: bool = False,
        once_keep_s: float = KEEP_S,
        expires_s: float | None = DEFAULT_EXPIRES_S,
        defer: Defer = False,
        **options: Any,
    ) -> Callable[[Handler], Any]:
        """Make a function the handler of one or more dispatch names.

        The function is called as ``function(data, dispatch)``: the payload's ``d`` and a
        :class:`~gateway_service.Dispatch`. It can be called like that in tests, too.

        Args:
            *events: Dispatch names such as ``"MESSAGE_CREATE"``.
            bind: Pass the task first, as in Celery: ``function(self, data, dispatch)``.
            name: Name of the task; module and function by default.
            once: Run once for each dispatch, also when its message arrives again. See docs/handlers.md.
            once_keep_s: How long a run that was made is remembered.
            expires_s: The age, by Discord's clock, at which an interaction is let go; None means never.
            defer: Tell Discord before a run that an answer to the interaction follows; ``"private"`` when only who
                made it shall see that.
            **options: Options of a Celery task: ``max_retries``, ``time_limit``, ``autoretry_for``...

        Raises:
            TypeError: The function cannot be a handler, or an option cannot be given here.
            ConfigurationError: Another handler has the same name.
        """
        _check_events(events)
        if ours := _OURS & options.keys():
            raise TypeError(f"on(...) decides {', '.join(sorted(ours))} itself")
        guards = guards_of(events, once=once, once_keep_s=once_keep_s, expires_s=expires_s, defer=defer)

        def register(function: Handler) -> Any:
            run = guards.around(as_task_function(function, bind=bind), events)
            self._uses_once |= once
            task_name = name or self.app.gen_task_name(function.__name__, function.__module__)
            self._register(task_name, events)
            task_options = {
                **options,
                **guards.attributes(),
                "base": HandlerTask,
                "bind": True,
                "shared": False,
                "name": task_name,
            }
            return self.app.task(**task_options)(run)

        return register

    @property
    def tokens(self) -> frozenset[str]:
        """Tokens of the events that some handler of this group is for, or a task named after the event."""
        plain = (name.removeprefix(TASK_PREFIX) for name in self._plain_event_tasks())
        return frozenset(self._handlers) | frozenset(plain)

    def check(self) -> None:
        """Refuse a set of tasks that a worker could not run as written.

        Raises:
            ConfigurationError: There is nothing to run, or an event has two kinds of tasks.
        """
        for task_name in sorted(self._plain_event_tasks()):
            token = task_name.removeprefix(TASK_PREFIX)
            if token in self._handlers:
                raise ConfigurationError(
                    f"the task named {task_name!r} and the handler {self._handlers[token][0]!r} are both for "
                    f"{token}; make the task a handler with @on({token!r}) as well"
                )
        if not self.tokens and not self._ordinary_tasks():
            raise ConfigurationError(
                "no task was found in the modules of GATEWAY_TASKS; decorate a function with @on('MESSAGE_CREATE')"
            )

    def _register(self, task_name: str, events: Iterable[str]) -> None:
        if any(task_name in names for names in self._handlers.values()):
            raise ConfigurationError(f"two handlers are named {task_name}; give one of them another name")
        for token in dict.fromkeys(map(event_token, events)):
            self._handlers.setdefault(token, []).append(task_name)

    def _plain_event_tasks(self) -> list[str]:
        """Return the names of tasks that a user wrote for an event without :meth:`on`."""
        return [
            name
            for name, task in self.app.tasks.items()
            if name.startswith(TASK_PREFIX) and not isinstance(task, EventTask)
        ]

    def _ordinary_tasks(self) -> list[str]:
        """Return the names of tasks that have nothing to do with dispatches."""
        handlers = {name for names in self._handlers.values() for name in names}
        return [
            name for name in self.app.tasks if name not in handlers and not name.startswith((TASK_PREFIX, _CELERYS_OWN))
        ]

    def _prepare_worker(self, instance: Any, options: dict[str, Any], **_signal: Any) -> None:
        """Give a starting worker our queues and strategies; every task module is imported by now."""
        if instance.app is not self.app:
            return
        self.app.control.mailbox.node_cls = QuietNode
        for name in self._plain_event_tasks():
            task = self.app.tasks[name]
            task.Strategy = HandlerTask.Strategy
            task.serializer = HandlerTask.serializer
            task.acks_on_failure = HandlerTask.acks_on_failure
        for token, handlers in self._handlers.items():
            queue = queue_name(self.group, token)
            self.app.register_task(EventTask(TASK_PREFIX + token, self.group, queue, handlers))
        self._select_queues(str_to_list(options.get("queues")), str_to_list(options.get("exclude_queues")))
        if getattr(get_implementation(options.get("pool_cls")), "is_green", False):
            # With heartbeats on, Celery 5.7 waits 0.1 s after each message in a green pool (loops.synloop).
            self.app.conf.broker_heartbeat = 0

    def _announce(self, instance: Any, **_signal: Any) -> None:
        """Say what an operator should know about this worker; its log is open by now."""
        if instance.app is self.app and self._uses_once:
            announce_store(self.app)

    def _select_queues(self, wanted: list[str] | None, excluded: list[str] | None) -> None:
        """Make known the queues to consume from; a queue that is not known is not declared either.

        A queue that is declared and not consumed would fill up.
        """
        queues = self.app.amqp.queues
        quorum = has_quorum_queues(self.app.connection_for_read())
        for token in sorted(self.tokens):
            queue = queue_of_token(token, self.group, quorum=quorum)
            if (wanted is None or queue.name in wanted) and queue.name not in (excluded or ()):
                queues.select_add(queue)
        default = self.app.conf.task_default_queue
        if not self._ordinary_tasks():
            queues.deselect(default)
            queues.pop(default, None)


def _check_events(events: tuple[Any, ...]) -> None:
    if not events or not all(isinstance(event, str) for event in events):
        raise TypeError("on(...) takes the names of dispatches, as in @on('MESSAGE_CREATE')")
