"""A way to wake a thread that sleeps in ``poll``, which costs nothing while it is awake."""

import contextlib
import os
import weakref


class Bell:
    """One sleeper listens on :meth:`fileno`; anybody rings."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._is_armed = False
        weakref.finalize(self, _close, self._readable, self._writable)

    def fileno(self) -> int:
        """The descriptor that becomes readable when the bell rings."""
        return self._readable

    def arm(self) -> None:
        """Announce that the sleeper is about to sleep; it looks for work once more after this."""
        self._is_armed = True

    def ring(self) -> None:
        """Wake the sleeper if it sleeps."""
        if self._is_armed:
            self._is_armed = False
            os.write(self._writable, b"\0")

    def silence(self) -> None:
        """Be awake: forget past rings and cause no further ones."""
        self._is_armed = False
        with contextlib.suppress(BlockingIOError):
            os.read(self._readable, 64)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
