"""Entry point of a shard process. Only a supervisor starts it, with one end of the channel as a descriptor."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from gateway_service.errors import EX_OK, EX_SOFTWARE, GatewayServiceError
from gateway_service.ipc.channel import ChannelBroken, open_child_channel
from gateway_service.ipc.messages import Configure, Hello
from gateway_service.settings.urls import SecretUrl
from gateway_service.shard.process import ShardProcess
from gateway_service.telemetry import LogEvent, configure_logging, log_event, register_secret

_log: Final = logging.getLogger("gateway_service.shard")

# Dispatches make many short-lived objects and hardly a cycle, so looking for cycles rarely is pure gain.
_GC_YOUNG_OBJECTS: Final = 50_000


def main() -> int:
    """Run one shard process and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m gateway_service.shard", description=__doc__)
    parser.add_argument("--ipc-fd", type=int, required=True, help="descriptor of the socket to the supervisor")
    descriptor: int = parser.parse_args().ipc_fd
    # Ctrl-C reaches every process of a terminal; the supervisor gets it too and drains us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(_GC_YOUNG_OBJECTS, 20, 20)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(descriptor))
    except GatewayServiceError as exc:
        log_event(_log, logging.ERROR, LogEvent.PROCESS_FAILED, reason=str(exc))
        return exc.exit_code
    except Exception:  # noqa: BLE001 - the outermost frame: logged whole, and the supervisor decides what follows
        log_event(_log, logging.ERROR, LogEvent.PROCESS_FAILED, exc_info=True)
        return EX_SOFTWARE
    return EX_OK


async def _run(descriptor: int) -> None:
    channel = await open_child_channel(descriptor)
    channel.send(Hello(pid=os.getpid()))
    configure = await channel.receive()
    if configure is None:
        return  # the supervisor went away before it had work for us
    if not isinstance(configure, Configure):
        raise ChannelBroken(f"the first message must be Configure, not {type(configure).__name__}")
    register_secret(configure.token.get_secret_value())
    for url in (configure.broker_url, configure.state_url):
        _register_secrets_of(SecretUrl(url.get_secret_value()))
    configure_logging(configure.log_level, configure.log_format)
    await ShardProcess(channel, configure).run()
    await channel.close()


def _register_secrets_of(url: SecretUrl) -> None:
    """Hide what a URL keeps secret; the rest of it is named in errors, because somebody has to find the server."""
    for password in url.passwords:
        register_secret(password)
    if str(url) != url.get_secret_value():  # there may be something in its query
        register_secret(url.get_secret_value())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where the extra is installed, else None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
