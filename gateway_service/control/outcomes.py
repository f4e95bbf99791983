"""What became of a call, in one word: for the log and the metrics."""

import asyncio
from typing import Any

from gateway_service.control.replies import Answer
from gateway_service.refusals import ControlError


def outcome_of(answer: Answer[Any]) -> str:
    """Return it for a call that was answered."""
    return "partial" if answer.failures else "ok"


def code_of(error: BaseException) -> str:
    """Return it for a call that ended with an error."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.code if isinstance(error, ControlError) else ControlError.code
