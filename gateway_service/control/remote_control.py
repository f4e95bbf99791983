"""The Celery door: a mailbox for the nodes of this host, in a thread of its own with its own broker connection."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final

from celery import Celery
from kombu.pidbox import Node

from gateway_service.contract import ASKED_BY, ASKED_FOR
from gateway_service.control import local
from gateway_service.control.control import Control
from gateway_service.control.local import Host
from gateway_service.control.node_events import NodeEvents
from gateway_service.control.nodes import addressed, late_by_s, reply_address, shard_node, stock_reply
from gateway_service.control.operations import OPERATIONS, Operation, usage_of
from gateway_service.control.peers import broker_errors
from gateway_service.control.replies import Answer, ShardView
from gateway_service.refusals import ControlError, InvalidArgument, OtherHost
from gateway_service.supervisor.threads import call_in_thread
from gateway_service.telemetry import LogEvent, log_event, redact

_log: Final = logging.getLogger(__name__)

HEARTBEAT_S: Final = 10
# Whoever has the broker may call themselves anything; the log has to hold it.
MAX_CALLER_CHARS: Final = 128
# Who gave up may have asked again, or wants something else by now. Clocks of two machines differ, by less than this.
MAX_LATE_S: Final = 30.0
_IDLE_S: Final = 0.25
_BUSY_S: Final = 0.02
_FIRST_BACKOFF_S: Final = 0.5
_MAX_BACKOFF_S: Final = 10.0
# A broker that hangs never hears our goodbye, and the service has ten seconds to end in all.
_GOODBYE_S: Final = 0.5


# What the buttons of a worker's page in Flower do to a supervisor and to a shard. As with a worker that something keeps
# alive, a shard that is shut down comes back.
BUTTONS: Final = {
    ("shutdown", False): "drain",
    ("shutdown", True): "restart_process",
    ("pool_restart", False): "rolling_restart",
    ("pool_restart", True): "restart_shard",
}

Replies = dict[str, Any]
"""By node name, of those that do not stay silent."""


class RemoteControl:
    """Answers ``celery inspect`` and ``celery control``, other supervisors and tasks; tells Flower of the nodes."""

    def __init__(self, app: Celery, control: Control, events: NodeEvents) -> None:
        self._app = app
        self._control = control
        self._events = events
        self._loop = asyncio.get_running_loop()
        # The thread must not look at the supervisor itself.
        self._names = [control.host.name, *(shard_node(shard_id) for shard_id in sorted(control.host.shard_ids))]
        self._stopping = threading.Event()
        self._replies: queue.SimpleQueue[tuple[Mapping[str, Any], Replies]] = queue.SimpleQueue()
        self._running = 0
        self._thread = threading.Thread(target=self._run, name="remote-control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Say goodbye and end the thread, or leave it to the end of the process when the broker hangs."""
        self._stopping.set()
        with suppress(TimeoutError):
            await call_in_thread(self._thread.join, name="goodbye", timeout_s=_GOODBYE_S)

    def _run(self) -> None:
        failures, lost = 0, broker_errors(self._app.connection_for_read())
        while not self._stopping.is_set():
            try:
                with self._app.connection_for_read(heartbeat=HEARTBEAT_S) as connection:
                    connection.ensure_connection(max_retries=1, timeout=HEARTBEAT_S)
                    failures = 0
                    self._serve(connection)
            except lost as exc:
                if not failures:
                    log_event(_log, logging.WARNING, LogEvent.CONTROL_ROAD_LOST, reason=redact(str(exc) or repr(exc)))
                failures += 1
                self._stopping.wait(min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(failures, 10)))
            except Exception:  # noqa: BLE001 - this door closes, the shards and the other doors go on
                log_event(_log, logging.ERROR, LogEvent.CONTROL_FAILED, part="remote-control", exc_info=True)
                return

    def _serve(self, connection: Any) -> None:
        """Use one connection until it is lost or we stop."""
        mailbox = self._app.control.mailbox(connection)
        names = self._names
        node = Node(names[0], channel=connection.channel(), mailbox=mailbox)
        with node.listen(callback=self.received):
            log_event(_log, logging.INFO, LogEvent.CONTROL_ROAD_OPEN, node=names[0], shards=len(names) - 1)
            self._events.connected(self._app, connection)
            checked_at = time.monotonic()
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_BUSY_S if self._running else _IDLE_S)
                self._send_replies(node)
                self._events.send_due()
                self._control.standing_queues.refresh_when_due(connection)
                if connection.supports_heartbeats and time.monotonic() - checked_at >= 1.0:
                    checked_at = time.monotonic()
                    connection.heartbeat_check()
            self._events.goodbye()

    def received(self, body: Any, message: Any) -> None:
        """Take one message; what it asks for runs in the loop of the supervisor."""
        try:
            names, late_s = addressed(body, self._names), late_by_s(message.headers, time.time())
        except Exception as exc:  # noqa: BLE001 - whoever has the broker may send anything, and this door stays open
            log_event(_log, logging.WARNING, LogEvent.CONTROL_MALFORMED, reason=repr(exc))
            return
        if not names:
            return
        if late_s > MAX_LATE_S and _changes_something(method := str(body.get("method"))):
            log_event(_log, logging.WARNING, LogEvent.CONTROL_EXPIRED, operation=method, late_s=round(late_s, 3))
            return
        self._running += 1
        answering = asyncio.run_coroutine_threadsafe(self.answer(names, body), self._loop)
        answering.add_done_callback(partial(self._answered, names, body))

    def _answered(self, names: Sequence[str], body: Mapping[str, Any], done: "Future[Replies]") -> None:
        if done.cancelled():
            replies: Replies = {}
        elif error := done.exception():
            replies = {name: {"error": repr(error)} for name in names}
        else:
            replies = done.result()
        self._replies.put((body, replies))

    def _send_replies(self, node: Node) -> None:
        while True:
            try:
                body, replies = self._replies.get_nowait()
            except queue.Empty:
                return
            self._running -= 1
            if (to := reply_address(body)) is not None:
                for name, reply in replies.items():
                    node.reply({name: reply}, *to, body.get("ticket"))

    async def answer(self, names: Sequence[str], body: Mapping[str, Any]) -> Replies:
        """Return the replies of those of these nodes that do not stay silent.

        An operation concerns the supervisor, however many of its nodes are asked: it is performed once.
        """
        host, method, given = self._control.host, str(body.get("method")), body.get("arguments") or {}
        given = dict(given) if isinstance(given, Mapping) else {"arguments": given}  # which no operation has
        is_addressed = bool(body.get("destination"))
        asked_by, asked_for = given.pop(ASKED_BY, None), given.pop(ASKED_FOR, None)
        if asked_by == host.name:
            return {}
        if operation := OPERATIONS.get(method):
            caller = "celery" if asked_by is None else f"celery:{str(asked_by)[:MAX_CALLER_CHARS]}"
            if asked_for is not None:
                caller += f" for {str(asked_for)[:MAX_CALLER_CHARS]}"
            reply = await self._perform(
                operation, given, caller, is_for_people=asked_by is None, is_addressed=is_addressed
            )
            return {} if reply is None else {names[0]: reply}
        views = {shard_node(view.shard_id): view for view in local.views(host)}
        replies = await asyncio.gather(
            *(self._reply(method, views.get(name), is_addressed=is_addressed) for name in names)
        )
        return {name: reply for name, reply in zip(names, replies, strict=True) if reply is not None}

    async def _reply(self, method: str, view: ShardView | None, *, is_addressed: bool) -> Any:
        """Return what one node replies to a button or stock command; None for silence."""
        if is_addressed and (found := BUTTONS.get((method, view is not None))):
            shard = {} if view is None else {"shard_id": view.shard_id}
            return await self._perform(OPERATIONS[found], shard, "celery")
        return stock_reply(method, self._control.host, view)

    async def _perform(
        self,
        operation: Operation,
        given: Mapping[str, Any],
        caller: str,
        *,
        is_for_people: bool = True,
        is_addressed: bool = False,
    ) -> Any:
        host = self._control.host
        try:
            answer = await self._control.perform_here(operation, given, caller)
        except ControlError as exc:
            return _refusal(exc, operation, host, is_for_people=is_for_people)
        if answer is None:
            if not is_addressed:
                return None  # whoever runs the shard answers
            elsewhere = OtherHost(f"{host.name} does not run the shard; without a destination, whoever does is asked")
            self._control.turned_away(operation, caller, elsewhere)
            return _refusal(elsewhere, operation, host, is_for_people=is_for_people)
        return (
            _for_people(answer) if is_for_people else {**answer.model_dump(mode="json"), "shard_ids": [*host.shard_ids]}
        )


def _changes_something(method: str) -> bool:
    operation = OPERATIONS.get(method)
    return any(method == button for button, _ in BUTTONS) if operation is None else operation.kind == "control"


def _refusal(error: ControlError, operation: Operation, host: Host, *, is_for_people: bool) -> dict[str, Any]:
    if not is_for_people:
        return {"error": error.to_json(host.name), "shard_ids": [*host.shard_ids]}
    usage = f" (usage: {usage_of(operation)})" if isinstance(error, InvalidArgument) else ""
    return {"error": f"{error.code}: {redact(str(error))}{usage}"}


def _for_people(answer: Answer[Any]) -> dict[str, Any]:
    result: dict[str, Any] = answer.result.model_dump(mode="json")
    failures = [failure.model_dump(mode="json", exclude_none=True) for failure in answer.failures]
    return {"ok": result, "took_ms": answer.took_ms} | ({"failures": failures} if failures else {})
