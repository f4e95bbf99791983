"""Why an operation of the control plane was refused or failed. Each condition has one code, the same on every door.

ControlError
├── InvalidArgument, UnknownShard       the request cannot be meant
├── OtherHost, NotReady, Busy           not here, not now
├── Misconfigured                       a file or setting is wrong
├── TooLarge, RateLimited               beyond a limit of Discord's or ours
├── OperationTimedOut, OperationFailed  begun, and not done
├── NotSupported                        this service runs without it
└── Unauthorized, Forbidden             the caller may not
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway_service.errors import EX_CONFIG, EX_REFUSED, EX_UNAVAILABLE, EX_USAGE, GatewayServiceError

FAULT: Final = "a fault in this program; its log has the traceback"


class ControlError(GatewayServiceError):
    """An operation of the control plane was refused or failed.

    ``code`` names the condition on every door, ``status`` is its HTTP status.
    """

    exit_code = EX_REFUSED
    code = "internal"
    status = 500

    def __init__(
        self, message: str, *, shard_id: int | None = None, host: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.shard_id = shard_id
        self.host = host
        """Node that refused; None when it is this one."""
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message

    def to_json(self, host: str) -> dict[str, object]:
        """Return it as JSON values; ``host`` is the node that refused, unless the error knows better."""
        facts = {
            "code": self.code,
            "message": self.message,
            "host": self.host or host,
            "shard_id": self.shard_id,
            "retry_after_s": self.retry_after_s,
        }
        return {name: value for name, value in facts.items() if value is not None}

    @staticmethod
    def from_json(facts: Mapping[str, Any]) -> "ControlError":
        """Return the error that :meth:`to_json` described."""
        kinds = {kind.code: kind for kind in ControlError.__subclasses__()}
        return kinds.get(str(facts.get("code")), ControlError)(
            str(facts.get("message", "no reason was given")),
            shard_id=facts.get("shard_id"),
            host=facts.get("host"),
            retry_after_s=facts.get("retry_after_s"),
        )


class InvalidArgument(ControlError):
    """An argument is missing, unknown or of the wrong form."""

    exit_code = EX_USAGE
    code = "invalid_argument"
    status = 422


class UnknownShard(ControlError):
    """The bot has no shard of this id."""

    exit_code = EX_USAGE
    code = "unknown_shard"
    status = 404


class OtherHost(ControlError):
    """The shard belongs to another supervisor, and none that runs it answered."""

    exit_code = EX_UNAVAILABLE
    code = "other_host"
    status = 503


class NotReady(ControlError):
    """The shard has no live session now, or its process does not run."""

    exit_code = EX_UNAVAILABLE
    code = "not_ready"
    status = 503


class TooLarge(ControlError):
    """The request, the command to Discord or the answer is larger than its limit."""

    code = "too_large"
    status = 413


class RateLimited(ControlError):
    """Discord, the send queue or this service takes no more now; ``retry_after_s`` says when, where that is known."""

    code = "rate_limited"
    status = 429


class OperationTimedOut(ControlError):
    """The answer did not come in time; what was sent may still have its effect."""

    exit_code = EX_UNAVAILABLE
    code = "timeout"
    status = 504


class Busy(ControlError):
    """Something is under way that excludes this operation."""

    code = "busy"
    status = 409


class Misconfigured(ControlError):
    """A file or setting that the operation reads is wrong; what was in force stays."""

    exit_code = EX_CONFIG
    code = "misconfigured"
    status = 409


class OperationFailed(ControlError):
    """The operation began and did not reach its goal; the message says how far it came."""

    code = "failed"
    status = 500


class NotSupported(ControlError):
    """This service runs without what the operation needs."""

    code = "not_supported"
    status = 501


class Unauthorized(ControlError):
    """The bearer token is missing or unknown."""

    code = "unauthorized"
    status = 401


class Forbidden(ControlError):
    """The bearer token lacks the scope of the operation, or the page of another site asks."""

    code = "forbidden"
    status = 403
