"""A gap: dispatches of one session that the service cannot deliver, told to every group that wants to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway_service.contract import GAP_EVENT
from gateway_service.publisher import Envelope

# The message has its own place beside the session's dispatches: its id is `<session>-gap-<first missing seq>`, and the
# watermark of the session does not wait for it.
_SUFFIX: Final = "-gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What a GATEWAY_GAP message tells."""

    shard_id: int
    num_shards: int
    session: str
    """Hash of the session id."""
    first_seq: int
    """The first number that may be missing."""
    last_seq: int | None
    """The last one; None when only Discord knows."""
    from_at: float
    """UNIX seconds of the last dispatch before the gap, or of its first one, if that was received and then lost."""
    to_at: float
    """UNIX seconds at which it was noticed."""
    guild_ids: tuple[int, ...]
    """The guilds that the shard had; empty when nobody remembers."""
    reason: str

    def payload(self) -> dict[str, Any]:
        """Return ``d`` of the message; ids are texts, as Discord writes them."""
        return {
            "shard": [self.shard_id, self.num_shards],
            "session": self.session,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "from": self.from_at,
            "to": self.to_at,
            "guild_ids": [str(guild_id) for guild_id in self.guild_ids],
            "reason": self.reason,
        }


def gap_session(session: str) -> str:
    """Return what stands for the session in the messages about its gaps."""
    return f"{session}{_SUFFIX}"


def session_of(name: str) -> str | None:
    """Return the session that such a name stands for; None for any other name."""
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) else None


def envelope_of(payload: Mapping[str, Any], now: float) -> Envelope:
    """Return the task message of a gap; the same gap always has the same id."""
    shard_id, num_shards = payload["shard"]
    session, seq = gap_session(payload["session"]), payload["first_seq"]
    return Envelope(GAP_EVENT, seq, session, shard_id, num_shards, None, now, None, orjson.dumps(payload))
