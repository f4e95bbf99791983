"""Both ends of a channel over a real socket."""

import asyncio
import os
import socket

import pytest

from gateway_service.ipc import channel as channel_module
from gateway_service.ipc.channel import ChannelBroken, open_child_channel, open_supervisor_channel
from gateway_service.ipc.messages import Hello, PermitRequest, Ping, Pong


@pytest.fixture
async def ends():
    ours, theirs = socket.socketpair()
    supervisor, child = await open_supervisor_channel(ours), await open_child_channel(theirs.detach())
    yield supervisor, child
    await supervisor.close()
    await child.close()


@pytest.fixture
async def raw():
    """The supervisor's end, and a bare socket in the hand of whoever pretends to be a child."""
    ours, theirs = socket.socketpair()
    supervisor = await open_supervisor_channel(ours)
    with theirs:
        yield supervisor, theirs
    await supervisor.close()


async def test_messages_arrive_in_order(ends):
    supervisor, child = ends
    for nonce in range(3):
        supervisor.send(Ping(nonce=nonce))

    assert [await child.receive() for _ in range(3)] == [Ping(nonce=0), Ping(nonce=1), Ping(nonce=2)]


async def test_both_directions_are_apart(ends):
    supervisor, child = ends
    supervisor.send(Ping(nonce=1))
    child.send(Hello(pid=5))

    assert (await child.receive(), await supervisor.receive()) == (Ping(nonce=1), Hello(pid=5))


async def test_what_was_sent_before_the_end_arrives_and_then_the_end(ends):
    supervisor, child = ends
    child.send(Pong(nonce=1))
    await child.close()

    assert [await supervisor.receive(), await supervisor.receive()] == [Pong(nonce=1), None]


async def test_sending_to_a_peer_that_has_gone_does_nothing(ends):
    supervisor, child = ends
    await child.close()
    for nonce in range(20):
        supervisor.send(Ping(nonce=nonce))
        await supervisor.flush()

    assert await supervisor.receive() is None


async def test_sending_on_a_closed_channel_does_nothing(ends):
    supervisor, _ = ends
    await supervisor.close()
    supervisor.send(Ping(nonce=1))


async def test_a_message_cut_by_death_is_not_one(raw):
    supervisor, peer = raw
    peer.sendall(b'{"type":"pong","nonce":1}\n{"type":"pong","non')
    peer.shutdown(socket.SHUT_WR)

    assert [await supervisor.receive(), await supervisor.receive()] == [Pong(nonce=1), None]


@pytest.mark.parametrize("line", [b"hidden", b"{}", b'{"type":"ping","nonce":1}', b"\xff\xfe", b""])
async def test_another_language_breaks_the_channel_and_is_not_repeated(raw, line):
    supervisor, peer = raw
    peer.sendall(line + b"\n")

    with pytest.raises(ChannelBroken) as caught:
        await supervisor.receive()
    assert "hidden" not in str(caught.value)


async def test_a_line_without_an_end_breaks_the_channel(monkeypatch):
    monkeypatch.setattr(channel_module, "MAX_LINE_BYTES", 1000)
    ours, theirs = socket.socketpair()
    supervisor = await open_supervisor_channel(ours)
    with theirs:
        theirs.sendall(b"x" * 5000)
        with pytest.raises(ChannelBroken, match="longer than 1000 bytes"):
            await supervisor.receive()
    await supervisor.close()


async def test_a_peer_that_never_reads_counts_as_gone(monkeypatch):
    monkeypatch.setattr(channel_module, "MAX_UNREAD_BYTES", 100_000)
    ours, theirs = socket.socketpair()
    supervisor = await open_supervisor_channel(ours)
    with theirs:
        sent = 0
        while not supervisor._writer.is_closing():
            supervisor.send(Ping(nonce=sent))
            sent += 1
            assert sent < 100_000
        assert await supervisor.receive() is None
    await supervisor.close()


async def test_a_large_report_passes(ends):
    supervisor, child = ends
    for shard_id in range(20_000):
        child.send(PermitRequest(shard_id=shard_id))
    flushing = asyncio.ensure_future(child.flush())

    received = [await supervisor.receive() for _ in range(20_000)]

    await flushing
    assert received[-1] == PermitRequest(shard_id=19_999)


async def test_a_descriptor_that_is_no_socket_is_an_os_error(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="ocket"):
            await open_child_channel(descriptor)
    finally:
        os.close(descriptor)
