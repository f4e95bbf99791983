"""What every private broker has in common: a data directory, a port that stays, a life cycle."""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from gateway_service.embedded.process import LOOPBACK, ServerProcess, free_port
from gateway_service.errors import BrokerUnavailable

_STOP_TIMEOUT_S: Final = 15.0
# A killed server's grandchildren give their files back a moment after its parent was reaped.
LOCK_TIMEOUT_S: Final = 5.0
_LOCK_POLL_S: Final = 0.02


class PrivateBroker(ABC):
    """A broker of our own on a loopback port, kept as a child process; a context manager.

    The port and the data survive :meth:`stop`, :meth:`kill` and :meth:`restart`, so that clients find the
    same broker again. Nothing of it outlives this process.
    """

    name: ClassVar[str]
    """What people call this broker."""
    start_timeout_s: ClassVar[float] = 60.0

    def __init__(self, data_dir: Path | None = None, port: int | None = None) -> None:
        """Prepare a broker; :meth:`start` runs it.

        Args:
            data_dir: Where its files live; None takes a temporary directory that :meth:`close` removes.
            port: Loopback TCP port; None takes a free one.
        """
        self.lock_timeout_s = LOCK_TIMEOUT_S
        """How long :meth:`start` waits for another server to give up the data."""
        self._is_temporary = data_dir is None
        if data_dir is None:
            data_dir = Path(tempfile.gettempdir()) / f"gateway-broker-{secrets.token_hex(8)}"
        self.data_dir = data_dir.absolute()
        self.host = LOOPBACK
        """The address on which it listens."""
        self.port = free_port() if port is None else port
        self._server: ServerProcess | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The broker URL for Celery."""

    @abstractmethod
    def _launch(self, lock: int) -> ServerProcess:
        """Start the server process; it inherits ``lock``."""

    @abstractmethod
    def _is_serving(self) -> bool:
        """Tell whether the server answers its protocol."""

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.is_running

    @property
    def pid(self) -> int | None:
        """The id of the server process and of its process group."""
        return self._server.pid if self._server is not None else None

    def start(self) -> Self:
        """Run the server and wait until it answers.

        Raises:
            BrokerUnavailable: It did not start, or another one uses the same data.
        """
        if self.is_running:
            return self
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._lock_data()
        try:
            self._server = self._launch(lock)
        finally:
            os.close(lock)  # the server holds it now
        try:
            self._server.wait_until(self._is_serving, self.start_timeout_s)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop the server in an orderly way; data and port stay."""
        if self._server is not None:
            self._server.terminate(_STOP_TIMEOUT_S)
            self._server = None

    def kill(self) -> None:
        """End the server without warning (SIGKILL); data and port stay."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def restart(self) -> Self:
        """Stop the server if it runs, and start it on the same port and data."""
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """Make the server hang with its connections open (SIGSTOP)."""
        if self._server is not None:
            self._server.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        if self._server is not None:
            self._server.signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its data if the directory was a temporary one."""
        self.stop()
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _lock_data(self) -> int:
        """Take the lock that the server then holds for its life, whatever happens to us."""
        lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self.lock_timeout_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise BrokerUnavailable(
                        str(self.data_dir), f"another {self.name} already uses this directory; stop it first"
                    ) from None
                time.sleep(_LOCK_POLL_S)
            else:
                return lock


def answer_to(host: str, port: int, question: bytes, size: int) -> bytes:
    """Return the first bytes a server answers; empty when it does not."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0) as connection:
        connection.sendall(question)
        return connection.recv(size)
    return b""
