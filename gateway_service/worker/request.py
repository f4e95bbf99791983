"""A request for one handler run: how its payload gets to where the handler runs, and who may see it."""

from typing import Any

from celery.worker.request import Request

from gateway_service.worker.once import note_timeout


class HandlerRequest(Request):
    """Hands the payload to another process, once: as the text it came in.

    Celery would pickle the decoded arguments as well. That costs more than decoding the text, and pickling a
    payload that is nested some hundred levels deep ends the whole worker with a RecursionError.
    """

    @property
    def request_dict(self) -> dict[str, Any]:
        """What the pool gets beside the body; the tracer fills in the arguments from the body."""
        return {**self._request_dict, "args": None, "kwargs": None}

    def on_timeout(self, soft: bool, timeout: float) -> None:
        super().on_timeout(soft, timeout)
        if not soft:
            note_timeout(self.task, self._context)

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002 - Celery's signature
        """Describe this run for remote control, without the payload: anyone may ask for it."""
        return super().info(safe=True)


class InProcessRequest(HandlerRequest):
    """Hands the decoded payload on, where the handler runs in this process; Celery would decode it once more."""

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **{**options, "body": message.payload, "decoded": True})
