"""The Celery door behind its mailbox: what becomes of one message to the nodes of this host."""

import asyncio
import time
from types import SimpleNamespace
from unittest.mock import ANY

import pytest

from gateway_service.control.control import Control
from gateway_service.control.local import Host
from gateway_service.control.node_events import NodeEvents
from gateway_service.control.nodes import addressed, late_by_s, shard_node
from gateway_service.control.remote_control import MAX_LATE_S, RemoteControl
from tests.support.fleet import FakeFleet, shard

HERE = "gateway@here"
NODES = (HERE, *map(shard_node, range(4)))


class CountedFleet(FakeFleet):
    """Counts how often it is looked at, and tells when it is asked for something."""

    def __init__(self, *shards):
        self.looks = 0
        self.is_restarted = asyncio.Event()
        super().__init__(*shards)

    def snapshot(self):
        self.looks += 1
        return super().snapshot()

    def restart_shard(self, shard_id, mode):
        super().restart_shard(shard_id, mode)
        self.is_restarted.set()


class Door:
    """Remote control of four shards, without a broker."""

    def __init__(self):
        self.fleet = CountedFleet(*map(shard, range(4)))
        self.control = Control(Host(self.fleet, HERE, lambda _reason: None))
        self._door = RemoteControl(None, self.control, NodeEvents(HERE))

    async def answer(self, method, *destination, **arguments):
        """Return the replies, by node, to a message as Celery sends it."""
        body = {"method": method, "arguments": arguments, "destination": destination}
        return await self._door.answer(addressed(body, NODES), body)

    def receive(self, expires, **body):
        """Hand over a message as the mailbox does."""
        self._door.received(
            {"arguments": {}, "destination": None, **body}, SimpleNamespace(headers={"expires": expires})
        )


@pytest.fixture
async def door():
    return Door()


async def test_every_node_answers_a_ping_and_the_fleet_is_looked_at_once(door):
    looks = door.fleet.looks

    replies = await door.answer("ping")

    assert replies == {node: {"ok": "pong"} for node in NODES}
    assert door.fleet.looks == looks + 1


async def test_a_node_speaks_of_its_own_shards(door):
    replies = await door.answer("stats")

    spoken = [[shard["shard_id"] for shard in replies[node]["shards"]] for node in NODES]
    assert spoken == [[0, 1, 2, 3], [0], [1], [2], [3]]


async def test_what_no_gateway_knows_is_not_answered(door):
    assert await door.answer("hello", *NODES) == {}


async def test_an_operation_is_performed_once_however_many_nodes_are_asked(door):
    replies = await door.answer("restart_shard", *NODES[2:], shard_id=3)

    assert replies == {NODES[2]: {"ok": {"shard_ids": [3], "outcome": "requested"}, "took_ms": ANY}}
    assert door.fleet.restarted == [(3, "resume")]


async def test_a_button_is_pressed_for_each_node(door):
    replies = await door.answer("pool_restart", *NODES[2:4])

    assert [*replies] == [*NODES[2:4]]
    assert door.fleet.restarted == [(1, "resume"), (2, "resume")]


@pytest.mark.parametrize(
    "late",
    [
        {"method": "restart_shard", "arguments": {"shard_id": 1}},
        {"method": "pool_restart", "destination": [NODES[2]]},
    ],
)
async def test_what_changes_something_and_comes_long_after_its_sender_gave_up_is_dropped(door, caplog, late):
    now = time.time()
    door.receive(now - MAX_LATE_S - 1.0, **late)
    door.receive(now - MAX_LATE_S + 20.0, method="restart_shard", arguments={"shard_id": 3})

    async with asyncio.timeout(5):
        await door.fleet.is_restarted.wait()

    assert door.fleet.restarted == [(3, "resume")]
    assert [record.message for record in caplog.records] == ["control.expired"]


@pytest.mark.parametrize("headers", [{}, {"expires": None}, {"expires": 0}])
def test_a_message_that_never_expires_is_never_late(headers):
    assert late_by_s(headers, now=1e9) == 0.0
