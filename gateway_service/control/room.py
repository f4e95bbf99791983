"""A bound on the requests that stay, so that those of probes always find room."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway_service.refusals import RateLimited


class NoRoom(RateLimited):
    """As many requests of this kind are open as this service holds."""


class Room:
    """So many requests of a kind at a time; the next one is refused at once."""

    def __init__(self, size: int, kind: str) -> None:
        self._size = size
        self._kind = kind
        self._taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place until the block ends.

        Raises:
            NoRoom: None is free.
        """
        if self._taken >= self._size:
            raise NoRoom(f"{self._size} {self._kind} are open already, and this service holds no more; try again later")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
