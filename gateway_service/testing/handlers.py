"""Running a handler as a worker does, in this process and without a broker."""

import copy
from dataclasses import dataclass, field
from typing import Any

from celery import signals

from gateway_service.contract import DEFAULT_GROUP, Dispatch
from gateway_service.worker.once import ONCE_URL_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRun:
    """What became of a handler, its retries included."""

    state: str
    """``SUCCESS``, ``FAILURE``, ``IGNORED`` or ``REJECTED``."""
    result: Any
    """What it returned, or the exception that it ended with."""
    countdowns: list[float | None] = field(default_factory=list)
    """The countdown of each retry, in seconds; they are not waited for."""

    @property
    def retries(self) -> int:
        """How often it was tried again."""
        return len(self.countdowns)


def run_handler(handler: Any, payload: Any, dispatch: Dispatch, *, once_url: str | None = None) -> HandlerRun:
    """Run a handler for one dispatch, through Celery's tracer, and through its retries at once.

    Args:
        handler: What ``on(...)`` made of your function.
        payload: The ``d``; the handler gets a copy of it.
        dispatch: What it gets beside it.
        once_url: Where runs of handlers with ``once=True`` are noted; as in a worker when it is not given.
    """
    countdowns: list[float | None] = []

    def note_retry(reason: Any, **_signal: Any) -> None:
        countdowns.append(reason.when)

    conf, headers = handler.app.conf, _headers_of(dispatch)
    url_before = conf.get(ONCE_URL_KEY)
    signals.task_retry.connect(note_retry, sender=handler, weak=False)
    if once_url is not None:
        conf[ONCE_URL_KEY] = once_url
    try:
        result = handler.apply(
            args=[copy.deepcopy(payload)],
            task_id=f"{dispatch.id}.{DEFAULT_GROUP}.{handler.name}",
            headers=headers,
            throw=False,
        )
    finally:
        conf[ONCE_URL_KEY] = url_before
        signals.task_retry.disconnect(note_retry, sender=handler)
    return HandlerRun(state=result.state, result=result.result, countdowns=countdowns)


def _headers_of(dispatch: Dispatch) -> dict[str, Any]:
    """Return those headers of a task message that a handler reads."""
    return {
        "event": dispatch.event,
        "bot_id": dispatch.bot_id,
        "shard": [*dispatch.shard],
        "seq": dispatch.seq,
        "session": dispatch.session,
        "guild_id": dispatch.guild_id,
        "received_at": dispatch.received_at,
        "kind": dispatch.kind,
    }
