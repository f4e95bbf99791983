"""Who a shard is to Discord: what it says of itself in IDENTIFY and RESUME."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol import commands
from gateway_service.protocol.constants import MAX_LARGE_THRESHOLD, MIN_LARGE_THRESHOLD
from gateway_service.protocol.session import Session, can_resume

DEFAULT_PROPERTIES: Final[Mapping[str, str]] = {
    "os": "linux",
    "browser": "gateway-service",
    "device": "gateway-service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The fixed part of every IDENTIFY and RESUME of one shard."""

    shard_id: int
    num_shards: int
    token: str = field(repr=False)
    intents: int
    large_threshold: int = MIN_LARGE_THRESHOLD
    properties: Mapping[str, str] = field(default_factory=lambda: DEFAULT_PROPERTIES)

    def __post_init__(self) -> None:
        """Refuse what Discord would refuse.

        Raises:
            LocalProtocolError: The shard, the threshold or the length of the whole is out of bounds.
        """
        if not 0 <= self.shard_id < self.num_shards:
            raise LocalProtocolError(f"shard {self.shard_id} of {self.num_shards} does not exist")
        if not MIN_LARGE_THRESHOLD <= self.large_threshold <= MAX_LARGE_THRESHOLD:
            raise LocalProtocolError(f"large_threshold is not {MIN_LARGE_THRESHOLD} to {MAX_LARGE_THRESHOLD}")
        self.identify(None)

    def identify(self, presence: Mapping[str, Any] | None) -> bytes:
        """Return the IDENTIFY of this shard.

        Raises:
            LocalProtocolError: With this presence it is longer than Discord takes, or not JSON.
        """
        return commands.identify(
            token=self.token,
            properties=self.properties,
            intents=self.intents,
            shard=(self.shard_id, self.num_shards),
            large_threshold=self.large_threshold,
            presence=presence,
        )

    def resume(self, session_id: str, seq: int) -> bytes:
        """Return a RESUME of this shard.

        Raises:
            LocalProtocolError: The session id is too long, or not Unicode.
        """
        return commands.resume(token=self.token, session_id=session_id, seq=seq)

    def can_resume(self, session: Session) -> bool:
        """Tell whether ``session`` is one of this shard's, and a RESUME can carry its id."""
        try:
            self.resume(session.session_id, session.seq)
        except LocalProtocolError:
            return False
        if session.seq < 0:
            return False
        return can_resume(session, shard_id=self.shard_id, num_shards=self.num_shards, intents=self.intents)
