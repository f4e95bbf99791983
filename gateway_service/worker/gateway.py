"""The handlers of one subscriber group, and what a worker must know to run them."""

import os
import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

import click
from celery import Celery
from celery.concurrency import get_implementation
from celery.signals import celeryd_after_setup, celeryd_init
from celery.utils.log import get_logger
from celery.utils.text import str_to_list

from gateway_service.contract import DEFAULT_GROUP, TASK_PREFIX, event_token
from gateway_service.errors import EX_CONFIG, EX_SOFTWARE, ConfigurationError
from gateway_service.settings.routes import parse_routes
from gateway_service.worker import serialization
from gateway_service.worker.configuration import ROUTES_KEY, check_configuration, worker_defaults
from gateway_service.worker.dispatcher import DISPATCHER_PATH
from gateway_service.worker.guards import DEFAULT_EXPIRES_S, Defer, guards_of
from gateway_service.worker.handlers import HandlerTask, as_task_function
from gateway_service.worker.lanes import Lanes
from gateway_service.worker.lateness import lateness_of
from gateway_service.worker.once import KEEP_S, announce_store
from gateway_service.worker.ordered import OrderedTask
from gateway_service.worker.pulse import FeelPulse, start_pulse
from gateway_service.worker.reading import ReadInBatches
from gateway_service.worker.selection import check_broker, check_order, forget_lane_queues, select_queues
from gateway_service.worker.silence import QuietNode
from gateway_service.worker.strategy import EventTask
from gateway_service.worker.subscription import Subscription
from gateway_service.worker.topology import DeclareSharedQueues

_log = get_logger(__name__)

Handler = Callable[..., Any]

# What a handler runs from and where its retries go is decided here; an option of that kind would be overruled.
_OURS: Final = frozenset({"base", "serializer", "queue", "exchange", "routing_key", "lazy", "shared"})
_CELERYS_OWN: Final = "celery."
# A group is the first word of its queues' names; "gateway" is that of the gateway's own ones.
_GROUP: Final = re.compile(r"(?!gateway$|celery$)[A-Za-z0-9_-]{1,60}", re.ASCII)

_gateways: WeakKeyDictionary[Celery, list["Gateway"]] = WeakKeyDictionary()


class Gateway:
    """Connects functions to dispatches, as tasks of one Celery application."""

    def __init__(self, app: Celery, group: str = DEFAULT_GROUP, *, configure: bool = True) -> None:
        """Make a group of handlers.

        Args:
            app: The application that gets the tasks and whose workers run them.
            group: Handlers of one group share one copy of each dispatch.
            configure: Give the application our settings for workers, as defaults: what it sets itself stays.

        Raises:
            ConfigurationError: ``group`` is no name for a group.
        """
        if not _GROUP.fullmatch(group):
            raise ConfigurationError(f"group: must be letters, digits, '_' and '-', and not 'gateway', not {group!r}")
        self.app = app
        self.group = group
        self._handlers: dict[str, list[str]] = {}
        """Task names by event token."""
        self._ordered: dict[str, str] = {}
        """By event token, an ordered handler for it."""
        self._uses_once = False
        _gateways.setdefault(app, []).append(self)
        if configure:
            serialization.register()
            app.add_defaults(lambda: worker_defaults(os.environ))
        lateness_of(app)  # before the pool forks
        app.steps["consumer"].update((DeclareSharedQueues, FeelPulse, ReadInBatches, Lanes))
        celeryd_init.connect(self._prepare_worker, weak=False)
        celeryd_after_setup.connect(self._finish_setup, weak=False)

    def on(
        self,
        *events: str,
        bind: bool = False,
        name: str | None = None,
        once: bool = False,
        once_keep_s: float = KEEP_S,
        expires_s: float | None = DEFAULT_EXPIRES_S,
        defer: Defer = False,
        ordered: bool = False,
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
            ordered: Handle the dispatches of each guild one after the other, in Discord's order. RabbitMQ only.
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
            if ordered:
                self._ordered.update(dict.fromkeys(map(event_token, events), task_name))
            task_options = {
                **options,
                **guards.attributes(),
                "base": OrderedTask if ordered else HandlerTask,
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

    @property
    def has_handlers(self) -> bool:
        return bool(self._handlers)

    def subscription(self) -> Subscription:
        """Return which queues this group has, by its handlers and the routes.

        Raises:
            ConfigurationError: The routes have a fault.
        """
        try:
            routes = parse_routes(self.app.conf.get(ROUTES_KEY, {}))
        except ValueError as exc:
            raise ConfigurationError(f"{ROUTES_KEY}: {exc}") from None
        return Subscription(group=self.group, tokens=self.tokens, ordered=frozenset(self._ordered), routes=routes)

    def check(self) -> None:
        """Refuse a set of tasks that a worker could not run as written.

        Raises:
            ConfigurationError: There is nothing to run, an event has two kinds of tasks, or there are two groups.
        """
        if others := [gateway.group for gateway in _gateways[self.app] if gateway is not self and gateway.has_handlers]:
            raise ConfigurationError(
                f"the application {self.app.main!r} has handlers of {len(others) + 1} groups, "
                f"{', '.join(sorted([self.group, *others]))}; give each group an application and workers of its own"
            )
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
        if instance.app is not self.app or self._steps_aside():
            return
        start_pulse()
        try:
            self._prepare(options)
        except ConfigurationError as exc:
            # Celery logs whatever else a receiver of this signal raises, and goes on.
            for fault in exc.faults:
                click.echo(f"Error: {fault}", err=True)
            raise SystemExit(EX_CONFIG) from None
        except Exception as exc:
            _log.exception("This worker cannot be prepared")
            raise SystemExit(EX_SOFTWARE) from exc

    def _steps_aside(self) -> bool:
        """Tell whether another group of the application has handlers and this one has none."""
        return not self.has_handlers and any(gateway.has_handlers for gateway in _gateways[self.app])

    def _prepare(self, options: dict[str, Any]) -> None:
        self.app.control.mailbox.node_cls = QuietNode
        self.app.events.dispatcher_cls = DISPATCHER_PATH
        self.check()
        check_configuration(self.app.conf)
        # The command line names it "pool"; WorkController itself "pool_cls".
        pool = get_implementation(options.get("pool") or options.get("pool_cls") or self.app.conf.worker_pool)
        ordered = sorted(set(self._ordered.values()))
        check_order(ordered, pool)
        subscription = self.subscription()
        check_broker(self.app, ordered, subscription.routes)
        for name in self._plain_event_tasks():
            task = self.app.tasks[name]
            task.Strategy = HandlerTask.Strategy
            task.serializer = HandlerTask.serializer
            task.acks_on_failure = HandlerTask.acks_on_failure
        for token, handlers in self._handlers.items():
            event_task = EventTask(
                TASK_PREFIX + token,
                self.group,
                subscription.queue_of(token),
                handlers,
                ttl_s=subscription.routes.of(token).ttl_s,
                is_ordered=token in subscription.ordered,
            )
            self.app.register_task(event_task)
        select_queues(
            self.app,
            subscription,
            wanted=str_to_list(options.get("queues")),
            excluded=str_to_list(options.get("exclude_queues")) or [],
            has_ordinary_tasks=bool(self._ordinary_tasks()),
        )
        if getattr(pool, "is_green", False):
            # With heartbeats on, Celery 5.7 waits 0.1 s after each message in a green pool (loops.synloop).
            self.app.conf.broker_heartbeat = 0

    def _finish_setup(self, instance: Any, **_signal: Any) -> None:
        """Say what an operator should know about this worker; its log is open by now."""
        if instance.app is not self.app or self._steps_aside():
            return
        forget_lane_queues(self.app)
        if self._uses_once:
            announce_store(self.app)


def gateways_of(app: Celery) -> tuple[Gateway, ...]:
    """Return every group of an application."""
    return tuple(_gateways.get(app, ()))


def _check_events(events: tuple[Any, ...]) -> None:
    if not events or not all(isinstance(event, str) for event in events):
        raise TypeError("on(...) takes the names of dispatches, as in @on('MESSAGE_CREATE')")
