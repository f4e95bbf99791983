"""The settings in force, and how edited ones take their place: routes at once, others with a rolling restart."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway_service.errors import ConfigurationError
from gateway_service.ipc.messages import ApplyRoutes
from gateway_service.settings import GatewayOptions, Routes
from gateway_service.settings.table import BY_NAME
from gateway_service.supervisor.presence import PresenceProvider
from gateway_service.telemetry import LogEvent, configure_logging, log_event
from gateway_service.tracing import check_tracing

_log: Final = logging.getLogger(__name__)

ReadOptions = Callable[[], GatewayOptions]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSettings:
    """Settings that were read again and may take the place of those in force."""

    options: GatewayOptions
    presence: PresenceProvider
    """Of a function's module as it is on disk now."""
    changed: tuple[str, ...]
    """Names of the settings whose value is another one."""


class LiveSettings:
    """Settings that can be read again while shards run."""

    def __init__(
        self, options: GatewayOptions, read: ReadOptions | None, tell_shards: Callable[[ApplyRoutes], None]
    ) -> None:
        """Begin with ``options``; every later change of routes goes to ``tell_shards``."""
        self.current = options
        self._read = read
        self._tell_shards = tell_shards

    def hang_up(self) -> None:
        """Reload the routes on SIGHUP."""
        with contextlib.suppress(ConfigurationError):  # it is in the log, and nobody else is here to be told
            self.reload_routes()

    def reload_routes(self) -> Routes:
        """Read the routes again and apply them to what comes in from now on.

        Raises:
            ConfigurationError: They cannot be read; the old ones stay.
        """
        if self._read is None:
            raise ConfigurationError("routes: a program gave them to this service, so there is no file to read again")
        try:
            routes = self._read().routes
        except ConfigurationError as exc:
            log_event(_log, logging.ERROR, LogEvent.ROUTES_REFUSED, reason=str(exc))
            raise
        self._apply(self.current.model_copy(update={"routes": routes}))
        return routes

    def read(self) -> NewSettings:
        """Read everything again for a rolling restart; nothing changes yet.

        Raises:
            ConfigurationError: There is a fault, or a new value that a rolling restart cannot bring in.
        """
        try:
            return self._checked(self.current if self._read is None else self._read())
        except ConfigurationError as exc:
            log_event(_log, logging.ERROR, LogEvent.SETTINGS_REFUSED, reason=str(exc))
            raise

    def use(self, new: NewSettings) -> None:
        """Let every process that starts from now on work by them, and the routes hold at once."""
        if self._read is not None:  # else logging belongs to the program around this service
            configure_logging(new.options.log_level, new.options.log_format)
        log_event(_log, logging.INFO, LogEvent.SETTINGS_APPLIED, changed=list(new.changed))
        self._apply(new.options)

    def _checked(self, options: GatewayOptions) -> NewSettings:
        differing = tuple(name for name, value in options if value != getattr(self.current, name))
        changed = tuple(name for name in differing if BY_NAME[name].taken_by != "worker")
        if fixed := [name for name in changed if BY_NAME[name].taken_by == "start"]:
            raise ConfigurationError(
                *(f"{name}: a rolling restart cannot change it; restart the service instead" for name in fixed)
            )
        if options.tracing:
            check_tracing()
        return NewSettings(
            options=options, presence=PresenceProvider(options.presence, is_read_again=True), changed=changed
        )

    def _apply(self, options: GatewayOptions) -> None:
        self.current = options
        self._tell_shards(ApplyRoutes(routes=options.routes.as_mapping()))
        log_event(_log, logging.INFO, LogEvent.ROUTES_APPLIED, patterns=len(options.routes.table))
