"""The service manager that may have started us, and what it wants to hear. See systemd: sd_notify(3)."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from gateway_service.waiting import is_set_within

_MICROSECOND_S: Final = 1e-6


class ServiceManager:
    """Takes one datagram for each thing to tell; where nobody asked to be told, nothing happens."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        """Remember where it listens.

        Args:
            address: Path of its socket; one that begins with '@' is in Linux's abstract namespace.
            watchdog_s: It ends us when it hears nothing for so long; None when it does not watch.
        """
        self._address = address
        self.watchdog_s = watchdog_s

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> "ServiceManager":
        """Read who started us, and take it out of the environment: what we start has another to report to."""
        address = environment.pop("NOTIFY_SOCKET", None)
        watchdog_us, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", str(os.getpid()))
        is_watched = watchdog_us.isdecimal() and int(watchdog_us) > 0 and pid == str(os.getpid())
        return cls(address, int(watchdog_us) * _MICROSECOND_S if is_watched else None)

    def tell(self, message: str) -> None:
        """Send a message such as ``READY=1``; a manager that is gone or does not read is no reason to fail."""
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.sendto(message.encode(), address)

    @asynccontextmanager
    async def told(self, stopping: asyncio.Event) -> AsyncIterator[None]:
        """Tell it now that we serve, from then on that the event loop runs, and in the end that we stop."""
        self.tell("READY=1")
        telling = asyncio.create_task(self._keep_telling(stopping), name="service-manager")
        try:
            yield
        finally:
            telling.cancel()

    async def _keep_telling(self, stopping: asyncio.Event) -> None:
        interval_s = None if self.watchdog_s is None else self.watchdog_s / 2
        while not stopping.is_set():
            self.tell("WATCHDOG=1")
            await is_set_within(stopping, interval_s)
        self.tell("STOPPING=1")
