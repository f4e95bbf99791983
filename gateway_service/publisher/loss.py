"""What a disk lost of one session."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Dispatches of one session that were on disk and are not any more."""

    session: str
    count: int
    first_seq: int
    last_seq: int
    oldest_at: float
    """UNIX seconds at which the first of them was received."""
