"""The listener of the REST API."""

import asyncio
import logging
from typing import Final, Self

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from gateway_service.protocol.constants import API_VERSION
from gateway_service.simulator.control import control_routes
from gateway_service.simulator.endpoints import ROUTES, Api, UnknownEndpoint
from gateway_service.simulator.gateway import GatewayServer
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.traffic import BackgroundTraffic

_LOG: Final = logging.getLogger("gateway_service.simulator")
_CLOSE_TIMEOUT_S: Final = 2.0


class RestServer:
    """Serves ``/api/v10`` (and any other version), and ``/_sim`` where control was asked for."""

    def __init__(self, hub: Hub, gateway: GatewayServer, background: BackgroundTraffic) -> None:
        self.api = Api(hub, gateway)
        self._background = background
        self._http: HTTPServer | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        config = self.api.hub.config
        base = r"/api(?:/v[0-9]+)?"
        routes = [(base + pattern, endpoint, {"api": self.api}) for pattern, endpoint in ROUTES]
        control = control_routes(self.api.hub, self.api.gateway, self._background) if config.control else []
        application = Application(
            [*routes, *control],
            default_handler_class=UnknownEndpoint,
            default_handler_args={"api": self.api},
            log_function=_log_request,
        )
        self._http = HTTPServer(application)
        sockets = bind_sockets(config.port, config.host)
        self._http.add_sockets(sockets)
        self.url = f"http://{config.host}:{sockets[0].getsockname()[1]}/api/v{API_VERSION}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._http is not None, "entered before"
        self._http.stop()
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await self._http.close_all_connections()


def _log_request(handler: RequestHandler) -> None:
    _LOG.debug("simulator.request %s %s %s", handler.request.method, handler.request.path, handler.get_status())
