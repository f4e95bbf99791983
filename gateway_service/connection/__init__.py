"""The gateway connection: a WebSocket transport and the driver that runs one machine on it."""

from gateway_service.connection.driver import Driver, Host

__all__ = ["Driver", "Host"]
