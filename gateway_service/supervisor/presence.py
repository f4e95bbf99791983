"""The presence of each IDENTIFY: the same for all shards, or what a function says of the shard about to identify."""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from types import ModuleType
from typing import Any, Final

from gateway_service.errors import ConfigurationError
from gateway_service.settings.values import BadValue, PresenceSource, checked_presence
from gateway_service.supervisor.threads import call_in_thread
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# A shard that waits for its presence holds its identify key, and with it every later shard of that key.
DEFAULT_TIMEOUT_S: Final = 3.0


class PresenceProvider:
    """Answers with the presence of a shard. A function that fails costs the presence, never the IDENTIFY."""

    def __init__(
        self, source: PresenceSource | None, *, timeout_s: float = DEFAULT_TIMEOUT_S, is_read_again: bool = False
    ) -> None:
        """Look up an import path at once, so that a wrong one ends the start and not the first IDENTIFY.

        Args:
            source: Of the settings.
            timeout_s: How long a function may take.
            is_read_again: Whether the module of an import path is wanted as it is on disk now.

        Raises:
            ConfigurationError: The import path leads to no function, or a mapping is not a presence.
        """
        self._timeout_s = timeout_s
        self._fixed: dict[str, Any] | None = None
        self._function: Callable[[int], Any] | None = None
        if isinstance(source, str):
            source = _imported(source, is_read_again=is_read_again)
        if isinstance(source, Mapping):
            try:
                self._fixed = _checked(source)
            except BadValue as exc:
                raise ConfigurationError(f"presence: {exc} (GATEWAY_PRESENCE)") from None
        else:
            self._function = source

    async def presence_of(self, shard_id: int) -> dict[str, Any] | None:
        """Return what ``shard_id`` shall show; None for nothing, also when the function fails, hangs or errs."""
        if self._function is None:
            return self._fixed
        try:
            answer = await call_in_thread(
                partial(self._function, shard_id), name=f"presence-{shard_id}", timeout_s=self._timeout_s
            )
            return None if answer is None else _checked(answer)
        except TimeoutError:
            reason = f"it did not return within {self._timeout_s:g} s"
        except BadValue as exc:
            reason = f"what it returned {exc}"
        except Exception as exc:  # noqa: BLE001 - user code may raise anything
            reason = f"{type(exc).__name__}: {exc}"
        log_event(_log, logging.WARNING, LogEvent.PRESENCE_FAILED, shard_id=shard_id, reason=reason)
        return None


def _checked(presence: object) -> dict[str, Any]:
    """Return ``presence`` as plain JSON values."""
    if inspect.iscoroutine(presence):
        presence.close()
        raise BadValue("is a coroutine; write an ordinary function, it runs in a thread of its own")
    if not isinstance(presence, Mapping):
        raise BadValue(f"must be a mapping such as {{'status': 'idle'}} or None, not {type(presence).__name__}")
    return checked_presence(presence)


def _imported(path: str, *, is_read_again: bool) -> Callable[[int], Any]:
    module_name, _, attributes = path.partition(":")
    try:
        module = _import_again(module_name) if is_read_again else importlib.import_module(module_name)
        function = attrgetter(attributes)(module)
    except (Exception, SystemExit) as exc:  # the module is the user's and may raise anything
        raise ConfigurationError(
            f"presence: cannot import {path!r}: {type(exc).__name__}: {exc} (GATEWAY_PRESENCE)"
        ) from exc
    if not callable(function):
        raise ConfigurationError(f"presence: {path!r} is not a function (GATEWAY_PRESENCE)")
    return function  # type: ignore[no-any-return] # attrgetter knows no types


def _import_again(name: str) -> ModuleType:
    """Import a module anew; what it imports itself stays. Who has a function of the old one keeps that."""
    before = sys.modules.pop(name, None)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except BaseException:
        if before is not None:
            sys.modules[name] = before
        raise
