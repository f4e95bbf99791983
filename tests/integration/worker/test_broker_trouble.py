"""A solo worker behind a connection that goes through all that a connection can."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from tests.support.relay import Relay
from tests.support.waiting import until
from tests.support.worker import Worker, publish

pytestmark = pytest.mark.rabbitmq

MESSAGES = 30
Trouble = Callable[[Relay], Awaitable[None]]


async def cut_in_the_middle(relay: Relay) -> None:
    relay.cut()


async def cut_while_reconnecting(relay: Relay) -> None:
    relay.cut()
    await until(relay.cut)


async def vanish(relay: Relay) -> None:
    """The broker still has the old connection when the worker comes back."""
    relay.vanish()


async def freeze_and_die(relay: Relay) -> None:
    """The broker falls silent, dies so, and answers no new connection for a while."""
    relay.hold()
    await asyncio.sleep(1)
    relay.cut()
    await asyncio.sleep(3)
    relay.release()


async def test_a_worker_comes_back_from_every_trouble_of_its_connection(rabbitmq, rabbitmq_url, tmp_path):
    async with Relay(socket.create_server(("127.0.0.1", 0)), rabbitmq.port) as relay:
        relayed_url = urlsplit(rabbitmq_url)._replace(netloc=f"guest:guest@127.0.0.1:{relay.port}").geturl()
        worker = Worker(relayed_url, tmp_path, "tests.support.impatient_tasks", "-P", "solo")
        try:
            await until(lambda: " ready." in worker.log)
            for trouble in (cut_in_the_middle, cut_while_reconnecting, vanish, freeze_and_die):
                handled = len(worker.records())
                ids = {publish(rabbitmq_url, "MESSAGE_CREATE", b"{}") for _ in range(MESSAGES)}
                await until(lambda handled=handled: len(worker.records()) > handled)

                await trouble(relay)

                await until(lambda ids=ids: ids <= {run["dispatch"] for run in worker.records()} or has_ended(worker))
                assert not has_ended(worker), f"after {trouble.__name__}: {worker.log[-3000:]}"
        finally:
            await asyncio.to_thread(worker.stop)


def has_ended(worker: Worker) -> bool:
    return worker.process.poll() is not None
