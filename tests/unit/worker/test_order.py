from functools import partial
from types import SimpleNamespace

import pytest

from gateway_service.worker.order import GuildOrder, guild_of, in_guild_order, order_of

ONE, OTHER = 1 << 22, 2 << 22  # in lanes 1 and 2


@pytest.fixture
def order():
    return GuildOrder()


@pytest.fixture
def started(order):
    started = []
    order.add = lambda guild, name: order.enter(guild, partial(started.append, name))
    return started


def test_the_messages_of_a_guild_start_one_after_the_other(order, started):
    for name in "abc":
        order.add(ONE, name)

    assert started == ["a"]
    order.leave(ONE)
    order.leave(ONE)
    assert started == ["a", "b", "c"]


def test_guilds_do_not_wait_for_each_other(order, started):
    order.add(ONE, "a")
    order.add(OTHER, "b")

    assert started == ["a", "b"]


def test_a_lane_is_busy_while_a_message_of_it_is_under_way(order):
    order.enter(ONE, lambda: None)

    assert order.is_busy(1, 8)
    assert not order.is_busy(2, 8)
    order.leave(ONE)
    assert not order.is_busy(1, 8)


def test_what_waits_in_a_lane_that_is_left_never_starts(order, started):
    for guild in (ONE, ONE, OTHER, OTHER):
        order.add(guild, guild)

    order.give_up_waiting(1, 8)
    order.leave(ONE)
    order.leave(OTHER)

    assert started == [ONE, OTHER, OTHER]


def test_what_was_under_way_on_an_old_connection_lets_nobody_pass(order, started):
    order.add(ONE, "old")
    order.clear()
    order.add(ONE, "new")
    order.add(ONE, "next")

    assert started == ["old", "new"]


def test_a_message_makes_room_for_the_next_when_it_is_settled_either_way(order):
    settled = []

    def receive_now(message, _body, ack, reject, _callbacks):
        settled.append((message, ack, reject))

    receive = in_guild_order(receive_now, order)
    for name in "abc":
        message = SimpleNamespace(headers={"guild_id": str(ONE)}, name=name)
        receive(message, None, lambda *_: None, lambda *_: None, None)

    settled[0][1]("log", ())
    settled[1][2]("log", (), True)

    assert [message.name for message, _, _ in settled] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("headers", "guild"),
    [({"guild_id": 5}, 5), ({"guild_id": "5"}, 5), ({"guild_id": None}, None), ({"guild_id": "x"}, None), ({}, None)],
)
def test_a_guild_is_read_from_the_headers(headers, guild):
    assert guild_of(headers) == guild


def test_a_worker_has_one_order_for_all_of_its_events():
    consumer = SimpleNamespace()

    assert order_of(consumer) is order_of(consumer)
