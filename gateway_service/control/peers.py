"""Asking other supervisors over the broker, as one Celery node asks another."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from celery import Celery
from kombu.exceptions import KombuError

from gateway_service.contract import ASKED_BY, ASKED_FOR, GATEWAY_NODES
from gateway_service.control.service import Collected
from gateway_service.refusals import OperationTimedOut
from gateway_service.supervisor.threads import call_in_thread

# A thread and a broker connection each.
MAX_AT_ONCE: Final = 16
# Beside the time for the replies: for its turn, and then for the connection and the message.
_TURN_S: Final = 3.0
_SEND_S: Final = 5.0
_GLOB: Final = "glob"


def broker_errors(connection: Any) -> tuple[type[Exception], ...]:
    """Return what a kombu connection may raise because of the broker, in the words of its transport, too."""
    return (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)


class _Enough(Exception):
    """All replies that matter are here."""


class BrokerPeers:
    """The other supervisors, found by the pattern of their node names: who asks need not know who there is."""

    def __init__(self, app: Celery, name: str, *, turn_s: float = _TURN_S, send_s: float = _SEND_S) -> None:
        self._app = app
        self._name = name
        self._turn_s = turn_s
        self._send_s = send_s
        # Given back by the thread and not by who asks, so that a broker that hangs holds so many threads and no more.
        self._turns = threading.BoundedSemaphore(MAX_AT_ONCE)

    async def ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        *,
        timeout_s: float,
        is_enough: Collected,
        host: str = "",
        caller: str = "",
    ) -> Sequence[dict[str, Any]]:
        """Ask them, or only the one whose node name is ``host``; see :class:`~gateway_service.control.service.Peers`.

        Raises:
            OperationTimedOut: The broker does not answer, or too many ask already.
        """
        asked = {**arguments, ASKED_BY: self._name} | ({ASKED_FOR: caller} if caller else {})
        try:
            return await call_in_thread(
                partial(self._ask_in_turn, operation, asked, timeout_s, is_enough, host),
                name="ask-peers",
                timeout_s=self._turn_s + self._send_s + timeout_s,
            )
        except TimeoutError as exc:
            raise OperationTimedOut("the broker does not answer: it hangs") from exc

    def _ask_in_turn(
        self, operation: str, arguments: dict[str, Any], timeout_s: float, is_enough: Collected, host: str
    ) -> Sequence[dict[str, Any]]:
        if not self._turns.acquire(timeout=self._turn_s):
            raise OperationTimedOut(f"other hosts are being asked {MAX_AT_ONCE} things already: ask again later")
        try:
            return self._ask(operation, arguments, timeout_s, is_enough, host)
        finally:
            self._turns.release()

    def _ask(
        self, operation: str, arguments: dict[str, Any], timeout_s: float, is_enough: Collected, host: str
    ) -> Sequence[dict[str, Any]]:
        whom = {"destination": [host]} if host else {"pattern": GATEWAY_NODES, "matcher": _GLOB}
        answers: list[dict[str, Any]] = []

        def collect(reply: dict[str, Any]) -> None:
            answers.extend(reply.values())
            if is_enough(answers):
                raise _Enough

        # A connection of its own: the queue for the replies belongs to one connection alone.
        connection = self._app.connection_for_write()
        try:
            with connection:
                self._app.control.broadcast(
                    operation,
                    arguments,
                    connection=connection,
                    reply=True,
                    timeout=timeout_s,
                    callback=collect,
                    **whom,
                )
        except _Enough:
            pass
        except broker_errors(connection) as exc:
            raise OperationTimedOut(f"the broker does not answer: {type(exc).__name__}") from exc
        return answers
