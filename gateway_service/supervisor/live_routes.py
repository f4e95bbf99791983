"""The routes in force, and how new ones take their place without a reconnect."""

import contextlib
import logging
from collections.abc import Callable
from typing import Final

from gateway_service.errors import ConfigurationError
from gateway_service.ipc.messages import ApplyRoutes
from gateway_service.settings import Routes
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

ReadRoutes = Callable[[], Routes]


class LiveRoutes:
    """Routes that can be read again while shards run."""

    def __init__(self, routes: Routes, read: ReadRoutes | None, tell_shards: Callable[[ApplyRoutes], None]) -> None:
        """Begin with ``routes``; every later change goes to ``tell_shards``."""
        self.current = routes
        self._read = read
        self._tell_shards = tell_shards

    def hang_up(self) -> None:
        """Reload on SIGHUP."""
        with contextlib.suppress(ConfigurationError):  # it is in the log, and nobody else is here to be told
            self.reload()

    def reload(self) -> Routes:
        """Read the routes again and apply them to what comes in from now on.

        Raises:
            ConfigurationError: They cannot be read; the old ones stay.
        """
        if self._read is None:
            raise ConfigurationError("routes: a program gave them to this service, so there is no file to read again")
        try:
            self.current = self._read()
        except ConfigurationError as exc:
            log_event(_log, logging.ERROR, LogEvent.ROUTES_REFUSED, reason=str(exc))
            raise
        self._tell_shards(ApplyRoutes(routes=self.current.as_mapping()))
        log_event(_log, logging.INFO, LogEvent.ROUTES_APPLIED, patterns=len(self.current.table))
        return self.current
