"""The control plane of one supervisor: its doors, opened and closed together."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from types import TracebackType
from typing import Final, Self

from gateway_service.control.control import Control
from gateway_service.control.feed import Feed
from gateway_service.control.http_server import HttpServer, bind, listening
from gateway_service.control.local import Host
from gateway_service.control.nodes import supervisor_node
from gateway_service.control.tokens import Tokens, read_tokens
from gateway_service.errors import ConfigurationError
from gateway_service.settings import Address, GatewayOptions
from gateway_service.supervisor import Supervisor
from gateway_service.supervisor.threads import call_in_thread
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# What nobody subscribed to is looked at this often, and never more than a twentieth of the time.
_UNROUTED_EVERY_S: Final = 10.0
_PAUSE_PER_LOOK: Final = 20
_LOOK_TIMEOUT_S: Final = 30.0


class ControlPlane:
    """Everything through which a supervisor is operated.

    Made and checked before the supervisor starts, opened when its shards are known::

        with ControlPlane.of(options) as plane:
            async with Supervisor(options) as supervisor, plane.opened(supervisor):
                ...
    """

    def __init__(self, options: GatewayOptions, tokens: Tokens, bound: socket.socket | None) -> None:
        self._options = options
        self._tokens = tokens
        self._socket = bound
        self.address: Address | None = None
        """Where the HTTP API listens, once opened."""

    @classmethod
    def of(cls, options: GatewayOptions) -> "ControlPlane":
        """Check the settings and take the address: who cannot have it must not start shards before it says so.

        Raises:
            ConfigurationError: The tokens are wrong, or missing where others than this machine can connect.
            AddressUnavailable: Another program has the address.
        """
        tokens, address = read_tokens(options.control_tokens_file), options.control_address
        if address is not None and not address.is_loopback and not tokens:
            raise ConfigurationError(
                f"control_address: {address} can be reached from other machines, so it needs tokens: set "
                "control_tokens_file, or use 127.0.0.1 (GATEWAY_CONTROL_ADDRESS, GATEWAY_CONTROL_TOKENS_FILE)"
            )
        return cls(options, tokens, None if address is None else bind(address))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()

    @asynccontextmanager
    async def opened(self, supervisor: Supervisor) -> AsyncIterator[Control]:
        """Answer on every door until the block ends. A door that fails is logged; the shards are not affected.

        Raises:
            AddressUnavailable: Another program listens there meanwhile.
        """
        host = Host(supervisor.fleet, supervisor_node(supervisor.snapshot()), supervisor.request_stop)
        control = Control(host)
        feed = Feed(host)
        tasks = [asyncio.create_task(feed.run(), name="control-feed")]
        if self._socket is not None:
            server = HttpServer(listening(self._socket), control, feed, self._tokens)
            self.address = server.address
            log_event(_log, logging.INFO, LogEvent.CONTROL_LISTENING, address=str(self.address))
            tasks.append(asyncio.create_task(server.run(), name="control-http"))
        for task in tasks:
            task.add_done_callback(_log_failure)
        try:
            async with _road_open(self._options.broker_url.get_secret_value(), control, feed):
                yield control
        finally:
            await host.roll.close()
            for task in reversed(tasks):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task


@asynccontextmanager
async def _road_open(broker_url: str, control: Control, feed: Feed) -> AsyncIterator[None]:
    """Serve remote control over the broker until the block ends, where the broker can carry it."""
    road = await asyncio.to_thread(import_module, "gateway_service.control.road")  # Celery takes a moment
    app = road.make_app(broker_url)
    if not road.carries_remote_control(app):
        log_event(_log, logging.INFO, LogEvent.CONTROL_ROAD_LOST, reason="this broker knows no remote control")
        yield
        return
    events = road.NodeEvents(control.host.name)
    remote_control = road.RemoteControl(app, control, events)
    control.host.peers = road.BrokerPeers(app, control.host.name)
    stop_listening = feed.listen(events.listener)
    remote_control.start()
    counting = asyncio.create_task(_count_unrouted(road.unrouted_now, broker_url, control), name="control-unrouted")
    try:
        yield
    finally:
        counting.cancel()
        stop_listening()
        await remote_control.stop()


async def _count_unrouted(count: Callable[[str], Mapping[str, int]], broker_url: str, control: Control) -> None:
    """Keep the count of what nobody subscribed to; while the broker does not answer the last one stays."""
    while True:
        began = time.monotonic()
        with suppress(Exception):  # whatever the broker's client raises: an outage is told elsewhere
            control.host.unrouted = await call_in_thread(
                lambda: count(broker_url), name="unrouted", timeout_s=_LOOK_TIMEOUT_S
            )
        await asyncio.sleep(max(_UNROUTED_EVERY_S, _PAUSE_PER_LOOK * (time.monotonic() - began)))


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log_event(_log, logging.ERROR, LogEvent.CONTROL_FAILED, part=task.get_name(), reason=repr(task.exception()))
