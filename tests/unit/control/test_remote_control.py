"""The Celery door behind its mailbox: what becomes of one message to the nodes of this host."""

from unittest.mock import ANY

import pytest

from gateway_service.control.control import Control
from gateway_service.control.local import Host
from gateway_service.control.node_events import NodeEvents
from gateway_service.control.nodes import addressed, shard_node
from gateway_service.control.remote_control import RemoteControl
from tests.support.fleet import FakeFleet, shard

HERE = "gateway@here"
NODES = (HERE, *map(shard_node, range(4)))


class CountedFleet(FakeFleet):
    """Counts how often it is looked at."""

    looks = 0

    def snapshot(self):
        self.looks += 1
        return super().snapshot()


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
