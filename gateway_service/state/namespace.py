"""Whose state it is: one bot, at one shard count."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

_DIGEST_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class Namespace:
    """Sessions belong to a bot and a shard count: after a reshard the old ones must not be resumed (protocol R1).

    What Discord limits per bot is kept per ``bot_id`` alone.
    """

    bot_id: str
    num_shards: int

    @classmethod
    def of(cls, token: str, num_shards: int) -> "Namespace":
        """Return the namespace of a bot; the same for every token that the bot ever has."""
        return cls(bot_id_of(token), num_shards)


def bot_id_of(token: str) -> str:
    """Return the bot's id, which is the first part of its token; a digest when it is not (as with test doubles)."""
    head, _, _ = token.partition(".")
    try:
        bot_id = base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        bot_id = ""
    if bot_id.isdecimal():
        return bot_id
    return hashlib.sha256(token.encode()).hexdigest()[:_DIGEST_CHARS]
