"""Two hosts of a test's own, in network namespaces, and a slow, lossy or cut line between them.

The kernel routes real packets; between the hosts they pass through :mod:`tests.support.line`, which delays and
drops them. Needs root and Linux.
"""

import fcntl
import json
import os
import secrets
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.support.namespaces import enter, ip

# For these two hosts only: no other address of this network exists anywhere.
NEAR_ADDRESS = "198.18.0.1"
FAR_ADDRESS = "198.18.0.2"

_TUN = "/dev/net/tun"
# See Linux: uapi/linux/if_tun.h.
_TUNSETIFF = 0x400454CA
_IFF_TUN_WITHOUT_HEADER = 0x0001 | 0x1000


def missing_for_namespaces() -> str | None:
    """Return why this machine cannot make hosts of its own; None when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if shutil.which("ip") is None:
        return "the program ip (Debian: iproute2) is not installed"
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return f"{_TUN} cannot be opened"
    return None


class Network:
    """Two hosts, *near* (ours) and *far* (Discord and the broker), and the line between them; a context manager."""

    def __init__(self) -> None:
        mark = secrets.token_hex(3)
        self.near = f"gw-near-{mark}"
        self.far = f"gw-far-{mark}"
        self._devices = {self.near: f"gwn{mark}", self.far: f"gwf{mark}"}
        self._line: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            descriptors = [self._make(self.near, NEAR_ADDRESS), self._make(self.far, FAR_ADDRESS)]
            self._line = subprocess.Popen(
                [sys.executable, "-m", "tests.support.line", *map(str, descriptors)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                pass_fds=descriptors,
            )
            for descriptor in descriptors:
                os.close(descriptor)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.kill()
            self._line.communicate()
        for namespace in self._devices:
            subprocess.run(["ip", "netns", "delete", namespace], check=False, stderr=subprocess.DEVNULL)

    def set(self, *, delay_s: float = 0.0, loss: float = 0.0, is_cut: bool = False) -> None:
        """Make the line what these say, in both directions; without arguments it is a good one again.

        Args:
            delay_s: How long every packet takes.
            loss: Share of packets that get lost, 0 to 1.
            is_cut: Nothing gets through.
        """
        assert self._line is not None
        assert self._line.stdin is not None
        state = {"delay_s": delay_s, "loss": 1.0 if is_cut else loss}
        self._line.stdin.write(json.dumps(state).encode() + b"\n")
        self._line.stdin.flush()

    def command_on_near_host(self, command: list[str]) -> list[str]:
        """Return a command line that runs ``command`` as a program of the near host."""
        return ["ip", "netns", "exec", self.near, *command]

    @contextmanager
    def on_far_host(self) -> Iterator[None]:
        """Let this thread make its sockets on the far host for as long as the block lasts."""
        with enter(self.far):
            yield

    def _make(self, namespace: str, address: str) -> int:
        """Make one host with one device, and return the descriptor of its packets."""
        device = self._devices[namespace]
        ip("netns", "add", namespace)
        descriptor = os.open(_TUN, os.O_RDWR)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN_WITHOUT_HEADER))
        ip("link", "set", device, "netns", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "address", "add", f"{address}/30", "dev", device)
        ip("-n", namespace, "link", "set", device, "up")
        return descriptor
