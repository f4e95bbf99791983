import pytest

from gateway_service.worker.acks import MAX_PENDING, Acks


class Channel:
    """What Acks needs of a channel, and what it wrote to it."""

    def __init__(self) -> None:
        self.written = []
        self.is_lost = False

    def basic_ack(self, delivery_tag, multiple=False):
        if self.is_lost:
            raise ConnectionError("gone")
        self.written.append(("ack", delivery_tag, multiple))

    def basic_reject(self, delivery_tag, requeue):
        self.written.append(("reject", delivery_tag, requeue))


class Loop(list):
    """Callables that an event loop would call soon."""

    def call_soon(self, function):
        self.append(function)

    def turn(self):
        for function in self:
            function()
        self.clear()


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def acks(channel, loop):
    return Acks(channel, loop.call_soon, ConnectionError)


def test_what_was_handled_is_acknowledged_at_once_before_the_loop_waits(acks, channel, loop):
    for tag in (1, 2, 3):
        acks.add(tag)
    assert channel.written == []

    loop.turn()

    assert channel.written == [("ack", 3, True)]


def test_many_do_not_wait_for_the_loop(acks, channel):
    for tag in range(1, MAX_PENDING + 1):
        acks.add(tag)

    assert channel.written == [("ack", MAX_PENDING, True)]


def test_nothing_is_acknowledged_twice(acks, channel, loop):
    acks.add(1)
    acks.flush()
    loop.turn()

    assert channel.written == [("ack", 1, True)]


def test_a_message_that_is_still_worked_on_is_not_acknowledged_by_the_way(acks, channel):
    acks.add(1)
    acks.add(3)  # 2 waits for its time

    acks.flush()

    assert channel.written == [("ack", 1, False), ("ack", 3, False)]


@pytest.mark.parametrize("settle", ["ack", "reject"])
def test_when_the_gap_is_closed_many_are_acknowledged_at_once_again(acks, channel, settle):
    acks.add(1)
    acks.add(3)
    acks.flush()
    channel.basic_ack(2) if settle == "ack" else channel.basic_reject(2, False)

    acks.add(4)
    acks.add(5)
    acks.flush()

    assert channel.written[-1] == ("ack", 5, True)


def test_a_settled_message_beyond_does_not_stand_for_one_below(acks, channel):
    for tag in (1, 2, 3):
        acks.add(tag)
    acks.flush()
    channel.basic_reject(6, True)  # 4 is still worked on, so the count fits 5 by chance

    acks.add(5)
    acks.flush()

    assert channel.written[-1] == ("ack", 5, False)


def test_what_a_lost_connection_did_not_take_is_not_tried_again(acks, channel, caplog):
    acks.add(1)
    channel.is_lost = True
    acks.flush()
    channel.is_lost = False
    acks.flush()

    assert channel.written == []
    assert "Couldn't ack 1 messages" in caplog.text
