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

_BACKLOG: Final = 64
_MAX_CONNECTIONS: Final = 200
_STOP_TIMEOUT_S: Final = 2


class AddressUnavailable(ServiceUnavailable):
    """The address of the control API cannot be taken."""

    what = "the address of the control API"

    def __str__(self) -> str:
        return (
            f"control_address: {self.where} cannot be used: {self.reason}; give this service an address of its own, or "
            "'off' (GATEWAY_CONTROL_ADDRESS)"
        )


def bind(address: Address) -> socket.socket:
    """Take an address; nobody can connect before it is :func:`listening`.

    Raises:
        AddressUnavailable: It cannot be taken, because another program has it.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        # The closed connections of a service that ended do not hold an address; a program that listens there does.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
    except OSError as exc:
        bound.close()
        raise AddressUnavailable(str(address), exc.strerror or str(exc)) from None
    return bound


def listening(bound: socket.socket) -> socket.socket:
    """Let clients connect, who wait until the server runs.

    Raises:
        AddressUnavailable: Another program, which had taken the address as well, was first.
    """
    try:
        bound.listen(_BACKLOG)
    except OSError as exc:
        raise AddressUnavailable(str(address_of(bound)), exc.strerror or str(exc)) from None
    return bound


def address_of(bound: socket.socket) -> Address:
    """Return where a socket is bound."""
    host, port = bound.getsockname()[:2]
    return Address(host, port)


class HttpServer:
    """uvicorn without what a program of its own needs: signals, logs and workers are the supervisor's."""

    def __init__(self, listening: socket.socket, control: "Control", feed: "Feed", tokens: "Tokens") -> None:
        self._socket = listening
        self._control = control
        self._feed = feed
        self._tokens = tokens

    @property
    def address(self) -> Address:
        return address_of(self._socket)

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
                proxy_headers=False,  # the log says who connected, not what a header claims
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_STOP_TIMEOUT_S,
            )
        )


def _version() -> str:
    try:
        return version("gateway-service")
    except PackageNotFoundError:  # run from a source tree
        return "0"
