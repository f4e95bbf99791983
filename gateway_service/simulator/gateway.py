"""The gateway's listeners: one for ``url``, one for ``resume_gateway_url``."""

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from gateway_service.protocol.constants import API_VERSION, CloseCode
from gateway_service.simulator.connection import GatewayConnection
from gateway_service.simulator.faults import Abort, ConnectionFault, Moment, RefuseUpgrade
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.wire import Compression

_OLDEST_VERSION: Final = 9
_CLOSE_TIMEOUT_S: Final = 2.0
_LOG: Final = logging.getLogger("gateway_service.simulator")


class GatewayServer:
    """Accepts gateway connections and keeps the live ones at hand for faults."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._stack = AsyncExitStack()
        self._live: dict[int, GatewayConnection] = {}
        self._accepted = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        config = self._hub.config
        await self._listen_generally(config.gateway_port)
        self._hub.resume_url = f"ws://{config.resume_host}:{_port_of(await self._listen(0))}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # Without a closing handshake: a client that does not read would hold the end up.
        self.inject(Abort())
        await self._stack.aclose()

    async def move(self) -> None:
        """Serve ``url`` at another port and no longer at the present one; connections stay."""
        before = self._general
        await self._listen_generally(0)
        before.close(close_connections=False)

    def connections(self, shard_id: int | None = None) -> Iterator[GatewayConnection]:
        """Return the live connections, or those whose session is of one shard."""
        for connection in tuple(self._live.values()):
            if shard_id is None or (connection.session is not None and connection.session.shard_id == shard_id):
                yield connection

    def inject(self, fault: ConnectionFault, shard_id: int | None = None) -> int:
        """Let a fault strike the live connections and return how many there were."""
        struck = list(self.connections(shard_id))
        for connection in struck:
            connection.inject(fault)
        return len(struck)

    async def _listen_generally(self, port: int) -> None:
        self._general = await self._listen(port)
        self.url = f"ws://{self._hub.config.host}:{_port_of(self._general)}"

    async def _listen(self, port: int) -> Server:
        return await self._stack.enter_async_context(
            serve(
                self._handle,
                self._hub.config.host,
                port,
                process_request=self._admit,
                compression=None,
                max_size=None,
                max_queue=None,
                ping_interval=None,
                close_timeout=_CLOSE_TIMEOUT_S,
                server_header=None,
                logger=_LOG,
            )
        )

    def _admit(self, websocket: ServerConnection, request: Request) -> Response | None:
        fault = self._hub.faults.take(Moment.UPGRADE, host=_host_of(request))
        if isinstance(fault, RefuseUpgrade):
            return websocket.respond(HTTPStatus(fault.status), fault.body)
        if fault is not None:
            websocket.transport.abort()
        query = parse_qs(urlsplit(request.path).query)
        version = query.get("v", ["6"])[0]  # the platform's default, long retired
        if not version.isdigit() or int(version) < _OLDEST_VERSION:
            return websocket.respond(HTTPStatus.BAD_REQUEST, "Retired or invalid gateway version.\n")
        if query.get("encoding", ["json"])[0] != "json":
            return websocket.respond(HTTPStatus.BAD_REQUEST, "Only JSON is simulated.\n")
        if query.get("compress", [""])[0] not in set(Compression):
            return websocket.respond(HTTPStatus.BAD_REQUEST, "Unknown compression.\n")
        return None

    async def _handle(self, websocket: ServerConnection) -> None:
        request = websocket.request
        assert request is not None, "the handshake is over"
        query = parse_qs(urlsplit(request.path).query)
        if int(query["v"][0]) > API_VERSION:
            await websocket.close(CloseCode.INVALID_API_VERSION, "Invalid API version.")
            return
        self._accepted += 1
        number = self._accepted
        connection = GatewayConnection(
            self._hub,
            websocket,
            number=number,
            host=_host_of(request),
            compression=Compression(query.get("compress", [""])[0]),
        )
        self._live[number] = connection
        try:
            await connection.serve()
        finally:
            del self._live[number]


def _host_of(request: Request) -> str:
    return request.headers.get("Host", "").rpartition(":")[0]


def _port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
