"""Errors as RFC 9457 says them: ``application/problem+json``."""

from typing import Any

from pydantic import BaseModel, Field

from gateway_service.refusals import ControlError
from gateway_service.telemetry import redact

PROBLEM_JSON = "application/problem+json"


class Problem(BaseModel):
    """What went wrong."""

    type: str = Field(examples=["urn:gateway-service:unknown_shard"])
    title: str = Field(examples=["The bot has no shard of this id"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no shard 99: the bot has 8, ids go from 0 to 7"])
    code: str = Field(examples=["unknown_shard"])
    """The same on every door."""
    host: str = Field(examples=["gateway@bot-1"])
    shard_id: int | None = None
    retry_after_s: float | None = None


def problem_of(error: ControlError, host: str) -> dict[str, Any]:
    """Return the body for an error."""
    facts = error.to_json(host)
    detail = redact(str(facts.pop("message")))
    title = (type(error).__doc__ or "").partition("\n")[0].partition(";")[0].rstrip(".")
    return {
        "type": f"urn:gateway-service:{error.code}",
        "title": title,
        "status": error.status,
        "detail": detail,
        **facts,
    }
