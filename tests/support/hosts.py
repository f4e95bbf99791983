"""Hosts of a test's own: network namespaces with an address each, joined by a switch. Needs root and Linux.

Another kind than :mod:`tests.support.network`: any number of hosts on lines that are good or cut, and nothing between.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self, TypeVar

from tests.support.namespaces import enter, ip

# A network of our own: the addresses of a benchmark between two machines. See RFC 2544.
_NETWORK = "198.19.0"
_Result = TypeVar("_Result")


def missing_for_hosts() -> str | None:
    """Return why this machine cannot make hosts of its own; None when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if shutil.which("ip") is None:
        return "the program ip (Debian: iproute2) is not installed"
    mark = f"gwt{secrets.token_hex(3)}"
    made = subprocess.run(
        ["ip", "link", "add", mark, "type", "veth", "peer", "name", f"{mark}p"], check=False, capture_output=True
    )
    if made.returncode != 0:
        return "this kernel has no virtual Ethernet"
    ip("link", "delete", mark)
    return None


class Host:
    """One host."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    def command(self, command: Sequence[str]) -> list[str]:
        """Return a command line that runs ``command`` as a program of this host."""
        return [str(shutil.which("ip")), "netns", "exec", self.namespace, *command]

    def cut(self) -> None:
        """Pull the cable: nothing gets through, and nobody is told."""
        ip("-n", self.namespace, "link", "set", "eth0", "down")

    def join(self) -> None:
        """Plug the cable in."""
        ip("-n", self.namespace, "link", "set", "eth0", "up")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread make its sockets on this host for as long as the block lasts."""
        with enter(self.namespace):
            yield

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Call a function whose sockets are on this host."""
        with self.entered():
            return function()


class Hosts:
    """Some hosts and the switch between them; a context manager."""

    def __init__(self, count: int) -> None:
        self._mark = secrets.token_hex(2)
        self._switch = f"gw-switch-{self._mark}"
        self.hosts = [Host(f"gw-host-{self._mark}-{number}", f"{_NETWORK}.{number}") for number in range(1, count + 1)]

    def __enter__(self) -> Self:
        try:
            ip("netns", "add", self._switch)
            ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
            ip("-n", self._switch, "link", "set", "switch", "up")
            for number, host in enumerate(self.hosts, 1):
                self._connect(host, f"port{number}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in [self._switch, *(host.namespace for host in self.hosts)]:
            subprocess.run(["ip", "netns", "delete", namespace], check=False, stderr=subprocess.DEVNULL)

    def _connect(self, host: Host, port: str) -> None:
        name = host.namespace
        ip("netns", "add", name)
        ip("-n", self._switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self._switch, "link", "set", port, "master", "switch", "up")
        ip("-n", name, "address", "add", f"{host.address}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", "eth0", "up")
