"""A broker and a store, each on a host of its own."""

from collections.abc import Sequence
from pathlib import Path

import redis

from gateway_service.embedded import PrivateRabbitMQ, find_valkey_server
from gateway_service.embedded.process import ServerProcess
from tests.support.hosts import Host


class HostRabbitMQ(PrivateRabbitMQ):
    """A RabbitMQ node that listens on the address of its host."""

    def __init__(self, host: Host, folder: Path) -> None:
        super().__init__(folder)
        self.host = host.address
        self._on = host

    def _command(self, argv: Sequence[str]) -> list[str]:
        return self._on.command(argv)

    def _configuration(self) -> str:
        return super()._configuration() + "loopback_users = none\n"  # its user may come from other hosts

    def _is_serving(self) -> bool:
        return self._on.call(super()._is_serving)


class HostRedis:
    """A server that keeps nothing when it ends."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.url = f"redis://{host.address}:6379/0"
        self._folder = folder
        folder.mkdir()
        self._start()

    def _start(self) -> None:
        options = {"bind": self.host.address, "protected-mode": "no", "save": "", "dir": str(self._folder)}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        command = self.host.command([str(find_valkey_server()), *arguments])
        self._server = ServerProcess(command, {}, self._folder / "redis.log")
        self._server.wait_until(self._is_serving, timeout_s=20)

    def _is_serving(self) -> bool:
        try:
            return bool(self.kept())
        except redis.ConnectionError:
            return False

    def restart_empty(self) -> None:
        self._server.kill()
        self._start()

    def close(self) -> None:
        self._server.kill()

    def kept(self) -> dict[str, int]:
        """Return how much it has of what a bot keeps there."""

        def count() -> dict[str, int]:
            with redis.Redis.from_url(self.url) as client:
                return {
                    "sessions": len(client.keys("gateway:*:session:*")),
                    "claims": len(client.keys("gateway:*:claim:*")),
                    "desired": sum(map(client.hlen, client.keys("gateway:*:desired"))),
                    "identifies": sum(map(client.zcard, client.keys("gateway:*:identifies"))),
                }

        return self.host.call(count)
