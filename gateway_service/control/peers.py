"""Asking other supervisors over the broker, as one Celery node asks another."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from celery import Celery
from kombu.exceptions import KombuError

from gateway_service.contract import ASKED_BY, ASKED_FOR, GATEWAY_NODES
from gateway_service.control.service import Collected
from gateway_service.refusals import OperationTimedOut

_GLOB: Final = "glob"


class _Enough(Exception):
    """All replies that matter are here."""


class BrokerPeers:
    """The other supervisors, found by the pattern of their node names: who asks need not know who there is."""

    def __init__(self, app: Celery, name: str) -> None:
        self._app = app
        self._name = name

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
            OperationTimedOut: The broker does not answer.
        """
        asked = {**arguments, ASKED_BY: self._name} | ({ASKED_FOR: caller} if caller else {})
        return await asyncio.to_thread(self._ask, operation, asked, timeout_s, is_enough, host)

    def _ask(
        self, operation: str, arguments: dict[str, Any], timeout_s: float, is_enough: Collected, host: str
    ) -> Sequence[dict[str, Any]]:
        whom = {"destination": [host]} if host else {"pattern": GATEWAY_NODES, "matcher": _GLOB}
        answers: list[dict[str, Any]] = []

        def collect(reply: dict[str, Any]) -> None:
            answers.extend(reply.values())
            if is_enough(answers):
                raise _Enough

        try:
            # A connection of its own: the queue for the replies belongs to one connection alone.
            with self._app.connection_for_write() as connection:
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
        except (KombuError, OSError) as exc:
            raise OperationTimedOut(f"the broker does not answer: {type(exc).__name__}") from exc
        return answers
