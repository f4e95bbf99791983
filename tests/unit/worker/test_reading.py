import socket
from types import SimpleNamespace

import pytest
from amqp.exceptions import RecoverableConnectionError

from gateway_service.worker.reading import FrameReader
from tests.unit.worker.test_deliveries import frames


class Hub:
    """Kombu's event loop as far as a reader uses it; what shall be called soon is kept."""

    def __init__(self):
        self.soon = []
        self._waker = SimpleNamespace(wake=lambda: None)

    def call_soon(self, function):
        self.soon.append(function)


class Channel:
    is_closing = False

    def __init__(self):
        self.bodies = []

    def _on_basic_deliver(self, *arguments):
        self.bodies.append(arguments[-1].body)


class Connection:
    """py-amqp's connection as far as a reader uses it, over one end of a real socket."""

    def __init__(self, sock):
        self.transport = SimpleNamespace(sock=sock, connected=True, _read_buffer=b"")
        self.channel = Channel()
        self.channels = {1: self.channel}
        self.bytes_recv = 0

    @property
    def connected(self):
        return self.transport.connected

    def collect(self):
        self.transport.connected = False
        self.channels = None


@pytest.fixture
def ends():
    ours, brokers = socket.socketpair()
    with ours, brokers:
        yield ours, brokers


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def connection(ends):
    return Connection(ends[0])


@pytest.fixture
def reader(connection, hub):
    return FrameReader(connection, hub, after_batch=lambda: None)


def test_messages_that_arrived_together_are_handed_over_in_their_order(ends, connection, reader):
    ends[1].sendall(frames({}, b"1") + frames({}, b"2") + frames({}, b"half")[:-3])

    reader.on_readable()

    assert connection.channel.bodies == [b"1", b"2"]


def test_a_turn_that_was_put_off_ends_with_its_connection(ends, connection, hub):
    reader = FrameReader(connection, hub, after_batch=lambda: None, budget_s=-1)  # one message in each turn
    ends[1].sendall(frames({}, b"1") + frames({}, b"2"))
    reader.on_readable()

    connection.collect()
    [turn] = hub.soon
    turn()

    assert (connection.channel.bodies, hub.soon) == ([b"1"], [turn])


@pytest.mark.parametrize("how", ["closed", "lost before"])
def test_the_end_of_a_connection_is_told_to_the_loop(ends, connection, reader, how):
    if how == "closed":
        ends[1].close()
    else:
        connection.collect()

    with pytest.raises((ConnectionResetError, RecoverableConnectionError)):
        reader.on_readable()
