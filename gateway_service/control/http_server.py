"""Serves the HTTP API from the event loop of the supervisor."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from gateway_service.errors import ServiceUnavailable
from gateway_service.settings import Address

if TYPE_CHECKING:
    import uvicorn

    from gateway_service.control.control import Control
    from gateway_service.control.feed import Feed
    from gateway_service.control.tokens import Tokens

# A service that was told to stop holds its address for ten seconds at most.
BIND_PATIENCE_S: Final = 12.0
_RETRY_S: Final = 0.25
_BACKLOG: Final = 64
_MAX_CONNECTIONS: Final = 200
_STOP_TIMEOUT_S: Final = 2


class AddressUnavailable(ServiceUnavailable):
    """The address of the control API cannot be taken."""

    what = "the address of the control API"

    def __str__(self) -> str:
        return f"control_address: {self.where} cannot be used: {self.reason} (GATEWAY_CONTROL_ADDRESS; 'off' for none)"


async def bind(address: Address, patience_s: float = BIND_PATIENCE_S) -> socket.socket:
    """Take the address; one that a service holds which ends just now is waited for.

    Raises:
        AddressUnavailable: It cannot be taken.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
        except OSError as exc:
            if asyncio.get_running_loop().time() >= deadline:
                raise AddressUnavailable(str(address), exc.strerror or str(exc)) from None
        await asyncio.sleep(_RETRY_S)


class HttpServer:
    """uvicorn without what a program of its own needs: signals, logs and workers are the supervisor's."""

    def __init__(self, listening: socket.socket, control: "Control", feed: "Feed", tokens: "Tokens") -> None:
        self._socket = listening
        self._control = control
        self._feed = feed
        self._tokens = tokens

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()[:2]
        return Address(host, port)

    async def run(self) -> None:
        """Serve until cancelled."""
        server = await asyncio.to_thread(self._make)  # importing FastAPI takes a moment, shards do not wait for it
        serving = asyncio.ensure_future(server.serve([self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise

    def _make(self) -> "uvicorn.Server":
        import uvicorn

        from gateway_service.control.http_api import HttpApi

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

        api = HttpApi(self._control, self._feed, self._tokens, _version())
        return Server(
            uvicorn.Config(
                api.app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_STOP_TIMEOUT_S,
            )
        )


def _version() -> str:
    try:
        return version("gateway-service")
    except PackageNotFoundError:  # run from a source tree
        return "0"
