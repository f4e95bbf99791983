"""A request for one handler run: how its payload gets to where the handler runs, who may see it, and how it ends."""

import copy
from typing import Any

from celery.utils.log import get_logger
from celery.worker.request import Request

from gateway_service.worker.dead import bury, reason_of
from gateway_service.worker.once import note_timeout

_log = get_logger(__name__)


class HandlerRequest(Request):
    """Hands the payload to another process, once: as the text it came in.

    Celery would pickle the decoded arguments as well. That costs more than decoding the text, and pickling a
    payload that is nested some hundred levels deep ends the whole worker with a RecursionError.

    A run that failed for good is buried by itself; the message it came with may have others that go on.
    """

    _failure: BaseException | None = None

    @property
    def request_dict(self) -> dict[str, Any]:
        """What the pool gets beside the body; the tracer fills in the arguments from the body."""
        return {**self._request_dict, "args": None, "kwargs": None}

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        self._failure = exc_info.exception
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        if not soft:
            self._bury(f"was killed at its time limit of {timeout:g} s")
        super().on_timeout(soft, timeout)
        if not soft:
            note_timeout(self.task, self._context)

    def reject(self, requeue: bool = False) -> None:
        if requeue:
            super().reject(requeue)
        else:
            self._bury(reason_of(self._failure, self._request_dict.get("retries", 0)))

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002 - Celery's signature
        """Describe this run for remote control, without the payload: anyone may ask for it."""
        return super().info(safe=True)

    def _bury(self, reason: str) -> None:
        if self.acknowledged:
            return
        try:
            bury(self.app, self.message, self.message.headers, reason)
        except Exception:  # noqa: BLE001 - whatever the broker client raises
            _log.exception("%s cannot be buried alone", self.id)
            super().reject(requeue=False)
        else:
            self.acknowledge()


class InProcessRequest(HandlerRequest):
    """Hands the decoded payload on, where the handler runs in this process; Celery would decode it once more."""

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **{**options, "body": message.payload, "decoded": True})


def addressed(message: Any, headers: dict[str, Any], payload: list[Any]) -> Any:
    """Return a copy of ``message`` with other headers and a decoded body; it shares everything that is only read."""
    run = copy.copy(message)
    run.headers = headers
    run._decoded_cache = payload  # noqa: SLF001 - kombu's memo of Message.decode()
    return run
