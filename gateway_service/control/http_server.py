"""Serves the HTTP API from the event loop of the supervisor."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, cast

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
# From the end of the last answer; whoever sends slowly on purpose keeps a connection no longer.
_REQUEST_WITHIN_S: Final = 10.0


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

    def __init__(
        self,
        listening: socket.socket,
        control: "Control",
        feed: "Feed",
        tokens: "Tokens",
        *,
        request_within_s: float = _REQUEST_WITHIN_S,
    ) -> None:
        """Make it; ``request_within_s`` is how long a connection may be open without a whole request."""
        self._socket = listening
        self._control = control
        self._feed = feed
        self._tokens = tokens
        self._request_within_s = request_within_s

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
                http=_connection_class(self._request_within_s),
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


def _connection_class(request_within_s: float) -> type[asyncio.Protocol]:
    """Return the class of connections; a request, with its body, may take so long from when a connection is free."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class HttpConnection(H11Protocol):
        """uvicorn's, which would wait for a request without end.

        uvicorn answers every request with 503 once it holds ``limit_concurrency`` connections, those of probes too, so
        the connection that has waited longest for its request makes room for a new one.
        """

        overdue: asyncio.TimerHandle | None = None
        """Runs while there is no whole request."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
                self._make_room()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_watching()

        def handle_events(self) -> None:
            super().handle_events()
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def _watch(self) -> None:
            cycle = self.cycle
            if self.transport.is_closing() or (
                cycle is not None and not cycle.more_body and not cycle.response_complete
            ):
                self._stop_watching()
            elif self.overdue is None:
                self.overdue = self.loop.call_later(request_within_s, self.give_up)

        def _stop_watching(self) -> None:
            if self.overdue is not None:
                self.overdue.cancel()
                self.overdue = None

        def _make_room(self) -> None:
            waiting = {
                each.overdue.when(): each
                for each in cast("set[HttpConnection]", self.connections)
                if each.overdue is not None
            }
            if waiting:
                waiting[min(waiting)].give_up()

        def give_up(self) -> None:
            """Close; the place is free at once."""
            self._stop_watching()
            self.connections.discard(self)  # uvicorn would when the loop comes to it
            self.transport.close()

    return HttpConnection


def _version() -> str:
    try:
        return version("gateway-service")
    except PackageNotFoundError:  # run from a source tree
        return "0"
