"""Asking other supervisors: a broker that hangs or refuses is told to who asks, and holds up nobody else."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any, Self

import pytest

from gateway_service.control.peers import MAX_AT_ONCE, BrokerPeers
from gateway_service.refusals import OperationTimedOut


class Forced(Exception):
    """What a transport calls a connection that the broker closed."""


class Denied(Exception):
    """What a transport calls a channel that the broker closed."""


class Broker:
    """An application, its connection and its remote control, which does ``broadcast``."""

    connection_errors = (Forced,)
    channel_errors = (Denied,)

    def __init__(self, broadcast: Callable[[], None]) -> None:
        self._broadcast = broadcast
        self.control = self

    def connection_for_write(self) -> "Broker":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def broadcast(self, *_: object, **__: object) -> None:
        self._broadcast()


def peers_at(broadcast: Callable[[], None], send_s: float = 5.0) -> BrokerPeers:
    app: Any = Broker(broadcast)
    return BrokerPeers(app, "gateway@here", turn_s=0.0, send_s=send_s)


async def ask(peers: BrokerPeers) -> object:
    return await peers.ask("shards", {}, timeout_s=0.0, is_enough=bool)


@pytest.mark.parametrize("error", [Forced, Denied, ConnectionResetError])
async def test_what_the_transport_raises_is_a_broker_that_does_not_answer(error: type[Exception]) -> None:
    def refuse() -> None:
        raise error

    with pytest.raises(OperationTimedOut, match=error.__name__):
        await ask(peers_at(refuse))


async def test_a_broker_that_hangs_is_given_up() -> None:
    thawed = threading.Event()
    try:
        async with asyncio.timeout(5):
            with pytest.raises(OperationTimedOut, match="hangs"):
                await ask(peers_at(lambda: void(thawed.wait()), send_s=0.05))
    finally:
        thawed.set()


async def test_a_broker_that_hangs_holds_so_many_threads_and_no_more() -> None:
    thawed = threading.Event()
    peers = peers_at(lambda: void(thawed.wait()))
    asking = [asyncio.create_task(ask(peers)) for _ in range(MAX_AT_ONCE + 5)]
    try:
        for refused in itertools.islice(asyncio.as_completed(asking, timeout=5.0), 5):
            with pytest.raises(OperationTimedOut, match="ask again later"):
                await refused
        assert sum(task.done() for task in asking) == 5
    finally:
        thawed.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert answers.count([]) == MAX_AT_ONCE


async def test_who_gives_up_does_not_free_the_thread() -> None:
    thawed = threading.Event()
    peers = peers_at(lambda: void(thawed.wait()), send_s=0.1)
    try:
        given_up = await asyncio.gather(*(ask(peers) for _ in range(MAX_AT_ONCE)), return_exceptions=True)
        assert all("hangs" in str(answer) for answer in given_up)
        with pytest.raises(OperationTimedOut, match="ask again later"):
            await ask(peers)
    finally:
        thawed.set()


def void(_: object) -> None:
    """Drop a result."""
