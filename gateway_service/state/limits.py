"""What every store keeps to."""

from typing import Final, Protocol, Self, TypeVar

from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.identify import HOLD_TIMEOUT_S

# Far more than any bot may send in a day.
MAX_IDENTIFIES: Final = 20_000
# A permit of which nothing more is heard was used as late as that, for all that anybody knows.
HELD_S: Final = HOLD_TIMEOUT_S + IDENTIFY_SPACING_S
# A shard that loses one session after the other must not fill the store with the accounts of them.
LEDGERS_KEPT: Final = 20


class Stored(Protocol):
    """What is kept as a text."""

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read it; a ValueError tells that another version wrote it."""


StoredT = TypeVar("StoredT", bound=Stored)


def readable(kind: type[StoredT], text: str | bytes) -> StoredT | None:
    """Return what was stored; None when this version cannot read it."""
    try:
        return kind.from_json(text)
    except ValueError:
        return None
