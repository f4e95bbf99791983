"""Which queues a starting worker consumes, and what it refuses to begin with."""

from collections.abc import Sequence
from typing import Any, Final

from celery import Celery
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool

from gateway_service.errors import ConfigurationError
from gateway_service.settings import Routes
from gateway_service.worker.capabilities import Need, check_needs, has_quorum_queues, needs_of_queue
from gateway_service.worker.lanes import LANE_PLAN
from gateway_service.worker.subscription import Subscription
from gateway_service.worker.topology import queue_of_tokens

_KEEP_ORDER: Final = (PreforkPool, SoloPool)


def check_order(handlers: Sequence[str], pool: type[Any]) -> None:
    """Refuse ordered handlers in a pool that cannot keep their order.

    Args:
        handlers: Task names of the ordered handlers.
        pool: The implementation of the worker's pool.

    Raises:
        ConfigurationError: It cannot.
    """
    if handlers and not issubclass(pool, _KEEP_ORDER):
        raise ConfigurationError(
            f"the pool {pool.__module__} cannot keep the order that {handlers[0]!r} asks for; use -P prefork or -P solo"
        )


def check_broker(app: Celery, ordered: Sequence[str], routes: Routes) -> None:
    """Refuse what was asked for and the broker does not have: at the start, and not by doing without it.

    Args:
        app: The application; queues that a user gave it are looked at as well.
        ordered: Task names of the ordered handlers.
        routes: The table of routes.

    Raises:
        ConfigurationError: With a sentence for each.
    """
    needs = [(f"the ordered handler {name!r}", Need.SINGLE_ACTIVE_CONSUMER) for name in ordered]
    needs += [
        (f"the route {pattern!r} with lanes", Need.SINGLE_ACTIVE_CONSUMER)
        for pattern, options in routes.as_mapping().items()
        if "lanes" in options
    ]
    for queue in app.conf.task_queues or ():
        needs += needs_of_queue(queue.name, queue.queue_arguments)
    check_needs(app.connection_for_read(), needs)


def select_queues(
    app: Celery,
    subscription: Subscription,
    *,
    wanted: Sequence[str] | None,
    excluded: Sequence[str],
    has_ordinary_tasks: bool,
) -> None:
    """Make known the queues to consume from; a queue that is not known is not declared either.

    A queue that is declared and not consumed would fill up.
    """
    queues = app.amqp.queues
    quorum = has_quorum_queues(app.connection_for_read())
    for name, tokens in subscription.queues().items():
        if (wanted is None or name in wanted) and name not in excluded:
            queues.select_add(queue_of_tokens(name, tokens, quorum=quorum))
    setattr(app, LANE_PLAN, subscription.lane_plan(wanted, excluded))
    if not has_ordinary_tasks:
        queues.deselect(app.conf.task_default_queue)
        queues.pop(app.conf.task_default_queue, None)


def forget_lane_queues(app: Celery) -> None:
    """Keep Celery from consuming the lane queues that ``-Q`` names; a step of ours does that."""
    plan = getattr(app, LANE_PLAN, None)
    for name in plan.names() if plan is not None else ():
        app.amqp.queues.deselect(name)
        app.amqp.queues.pop(name, None)
