"""The line between two hosts: ``python -m tests.support.line FD FD`` carries IP packets, late or not at all.

Each line on standard input is a JSON object with ``delay_s`` and ``loss``; the end of the input ends the line.
"""

import heapq
import itertools
import json
import os
import random
import selectors
import sys
import time
from contextlib import suppress

_PACKET_BYTES = 65536
# What waits on a line; beyond that a router drops. Far above what a test sends within a second.
_MAX_WAITING = 100_000


def main(near: int, far: int) -> None:
    """Carry packets between two TUN descriptors until standard input ends."""
    rng = random.Random(0)
    order = itertools.count()
    waiting: list[tuple[float, int, int, bytes]] = []
    delay_s = loss = 0.0
    control = sys.stdin.fileno()
    selector = selectors.DefaultSelector()
    for descriptor in (near, far, control):
        os.set_blocking(descriptor, False)
        selector.register(descriptor, selectors.EVENT_READ)
    while True:
        timeout_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for key, _ in selector.select(timeout_s):
            if key.fd == control:
                told = os.read(control, _PACKET_BYTES)
                if not told:
                    return
                state = json.loads(told.splitlines()[-1])
                delay_s, loss = state["delay_s"], state["loss"]
                continue
            with suppress(BlockingIOError):
                while True:
                    packet = os.read(key.fd, _PACKET_BYTES)
                    if rng.random() >= loss and len(waiting) < _MAX_WAITING:
                        onward = far if key.fd == near else near
                        heapq.heappush(waiting, (time.monotonic() + delay_s, next(order), onward, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, onward, packet = heapq.heappop(waiting)
            with suppress(OSError):  # the device is full or going away: a packet is lost, as on any line
                os.write(onward, packet)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
