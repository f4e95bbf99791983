"""Interactions: who handles one that Discord has given up answers nobody, and should not try.

Discord waits three seconds for the first answer, counted from the snowflake of the interaction.
See Discord: interactions/receiving-and-responding#interaction-callback.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from celery.exceptions import Ignore
from celery.utils.log import get_logger

from gateway_service.contract import Dispatch
from gateway_service.worker.callback import AlreadyAnswered, TooLate, defer
from gateway_service.worker.lateness import lateness_of

INTERACTION_CREATE: Final = "INTERACTION_CREATE"
EXPIRES_S: Final = 2.5
"""Half a second less than Discord waits: an answer takes its time, too."""
# How long a deferred interaction can still be answered, which is what retries of a handler may be after.
_TOKEN_LIFE_S: Final = 900.0
_DISCORD_EPOCH_S: Final = 1_420_070_400
_SNOWFLAKE_TIME_BITS: Final = 22

_log = get_logger(__name__)

TaskFunction = Callable[..., Any]


def created_at(interaction: Any, otherwise: float) -> float:
    """Return the UNIX seconds at which Discord made an interaction; ``otherwise`` when its id does not tell."""
    try:
        return (int(interaction["id"]) >> _SNOWFLAKE_TIME_BITS) / 1000 + _DISCORD_EPOCH_S
    except (KeyError, TypeError, ValueError):
        return otherwise


def has_begun_before(request: Any) -> bool:
    """Tell whether an earlier run of the handler may have deferred the interaction: this is a retry or redelivered."""
    return bool(request.retries or (request.delivery_info or {}).get("redelivered"))


def in_time(run: TaskFunction) -> TaskFunction:
    """Return ``run`` so that an interaction that is too old is counted and let go, at the last moment before it."""

    @functools.wraps(run)
    def guarded(task: Any, data: Any, dispatch: Dispatch | None = None) -> Any:
        if task.request.called_directly:
            return run(task, data, dispatch)
        dispatch = dispatch or Dispatch.from_headers(task.request.headers)
        if dispatch.event != INTERACTION_CREATE:
            return run(task, data, dispatch)
        now = time.time()
        age_s = now - created_at(data, dispatch.received_at)
        if not task.request.retries:
            lateness_of(task.app).observe(age_s)
        if task.expires_s is not None:
            # A run before this one may have deferred it. Only a handler that defers is sure to find that out.
            is_deferred = task.request.retries or (task.defer and has_begun_before(task.request))
            if age_s > (_TOKEN_LIFE_S if is_deferred else task.expires_s):
                let_go(task, f"{age_s:.1f} s old, {now - dispatch.received_at:.1f} s of them since the gateway got it")
        return run(task, data, dispatch)

    return guarded


def deferring(run: TaskFunction) -> TaskFunction:
    """Return ``run`` so that Discord hears first that an answer follows; there are 15 minutes for it then."""

    @functools.wraps(run)
    def deferred(task: Any, data: Any, dispatch: Dispatch | None = None) -> Any:
        event = dispatch.event if dispatch is not None else (task.request.headers or {}).get("event")
        if not task.request.called_directly and event == INTERACTION_CREATE and can_be_deferred(data):
            try:
                defer(data, is_private=task.defer == "private", conf=task.app.conf)
            except AlreadyAnswered:
                if not has_begun_before(task.request):
                    _log.info("The interaction of %s was answered by somebody else", task.request.id)
            except TooLate as exc:
                let_go(task, str(exc))
        return run(task, data, dispatch)

    return deferred


def can_be_deferred(interaction: Any) -> bool:
    """Tell whether Discord takes a deferred answer: not to a ping, nor to autocompletion."""
    return isinstance(interaction, Mapping) and interaction.get("type") in {2, 3, 5}


def let_go(task: Any, why: str) -> None:
    """End a run that would answer nobody: Flower shows it as revoked.

    Raises:
        Ignore: Always.
    """
    lateness_of(task.app).expire()
    _log.warning("Interaction of %s expired: %s", task.request.id, why)
    if task.send_events and task.app.conf.worker_send_task_events:
        task.send_event("task-revoked", terminated=False, signum=None, expired=True)
    raise Ignore("expired")
