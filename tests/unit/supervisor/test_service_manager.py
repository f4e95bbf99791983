"""What a service manager hears from us, on a real socket."""

import asyncio
import os
import socket
from contextlib import contextmanager

import pytest

from gateway_service.supervisor.service_manager import ServiceManager


@contextmanager
def listening(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.setblocking(False)
        yield sock


async def hear(sock):
    return (await asyncio.get_running_loop().sock_recv(sock, 100)).decode()


async def test_it_hears_that_we_serve_that_we_live_and_that_we_stop(tmp_path):
    stopping = asyncio.Event()
    address = str(tmp_path / "notify")
    with listening(address) as sock:
        async with ServiceManager(address, watchdog_s=0.002).told(stopping):
            assert [await hear(sock) for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]
            stopping.set()
            while (last := await hear(sock)) == "WATCHDOG=1":
                pass

    assert last == "STOPPING=1"


async def test_one_that_does_not_watch_hears_of_the_start_and_the_end():
    stopping = asyncio.Event()
    address = f"@gateway-service-test-{os.getpid()}"
    with listening(f"\0{address[1:]}") as sock:
        async with ServiceManager(address).told(stopping):
            heard = [await hear(sock), await hear(sock)]
            stopping.set()
            heard.append(await hear(sock))

    assert heard == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


async def test_one_that_is_gone_is_no_reason_to_fail(tmp_path):
    async with ServiceManager(str(tmp_path / "gone")).told(asyncio.Event()):
        pass


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_what_we_start_does_not_report_in_our_place(environment, watchdog_s):
    given = {"NOTIFY_SOCKET": "/run/notify", "PATH": "/bin", **environment}

    manager = ServiceManager.taken_from(given)

    assert manager.watchdog_s == pytest.approx(watchdog_s)
    assert given == {"PATH": "/bin"}
