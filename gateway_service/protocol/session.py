"""A session: what READY opened and RESUME continues, in the form that is kept outside the process."""

import json
from dataclasses import dataclass, field
from typing import Any, get_args

from gateway_service.protocol.constants import Compression
from gateway_service.protocol.guilds import GuildSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything another process or host needs to RESUME (protocol R1, R10)."""

    session_id: str = field(repr=False)
    """Discord's id; with the token it lets anybody resume, so it is not shown."""
    resume_gateway_url: str
    """Where Discord wants the RESUME, without a query."""
    seq: int
    """The published sequence: everything up to it is safe in the broker. 0 when nothing is yet."""
    shard_id: int
    num_shards: int
    intents: int
    guilds: GuildSnapshot
    """The guilds as they were at ``seq``: a replayed GUILD_CREATE is classified as it was the first time."""
    compression: Compression = "zstd-stream"
    """Of the first connection; every later one repeats it (protocol C4)."""
    permit: int = 0
    """Number of the permit of its IDENTIFY, given when it is stored: of two sessions the higher one began later."""

    def to_json(self) -> str:
        """Return a text that :meth:`from_json` reads back."""
        return json.dumps(
            {
                "session_id": self.session_id,
                "resume_gateway_url": self.resume_gateway_url,
                "seq": self.seq,
                "shard_id": self.shard_id,
                "num_shards": self.num_shards,
                "intents": self.intents,
                "guilds": self.guilds.to_lists(),
                "compression": self.compression,
                "permit": self.permit,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Session":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: The text is not a stored session; treat it as if there was none.
        """
        try:
            stored: dict[str, Any] = json.loads(text)
            if stored["compression"] not in get_args(Compression):
                raise ValueError("not a stored session")
            return cls(
                session_id=str(stored["session_id"]),
                resume_gateway_url=str(stored["resume_gateway_url"]),
                seq=int(stored["seq"]),
                shard_id=int(stored["shard_id"]),
                num_shards=int(stored["num_shards"]),
                intents=int(stored["intents"]),
                guilds=GuildSnapshot.from_lists(stored["guilds"]),
                compression=stored["compression"],
                permit=int(stored["permit"]),
            )
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
            raise ValueError("not a stored session") from exc


def can_resume(session: Session, *, shard_id: int, num_shards: int, intents: int) -> bool:
    """Tell whether ``session`` may be resumed by a shard of these numbers.

    A session keeps the shard and the intents of its IDENTIFY: under other ones it would deliver the wrong
    guilds or the wrong events (protocol R1).
    """
    return (session.shard_id, session.num_shards, session.intents) == (shard_id, num_shards, intents)
