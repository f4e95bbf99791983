"""A private RabbitMQ node: production semantics where a RabbitMQ server is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from gateway_service.embedded.broker import PrivateBroker, answer_to
from gateway_service.embedded.process import LOOPBACK, ServerProcess, free_port
from gateway_service.errors import BrokerUnavailable

# Debian's /usr/sbin/rabbitmq-server insists on root; the scripts below it do not. Homebrew and the generic
# archive have those on PATH.
_SCRIPTS: Final = Path("/usr/lib/rabbitmq/bin")
_USER: Final = "guest"  # RabbitMQ lets its default user in over loopback only

_CONFIGURATION: Final = """\
listeners.tcp.1 = {host}:{port}
log.console = true
log.console.level = warning
log.file = false
disk_free_limit.absolute = 50MB
"""

_PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME: Final = b"\x01"
_CONTROL_TIMEOUT_S: Final = 120.0


def find_rabbitmq(program: str = "rabbitmq-server") -> Path | None:
    """Return one of RabbitMQ's programs that runs without root."""
    packaged = _SCRIPTS / program
    if packaged.exists():
        return packaged
    found = shutil.which(program)
    return Path(found) if found else None


class PrivateRabbitMQ(PrivateBroker):
    """A private single-node RabbitMQ with its own epmd; starts in 6 to 8 seconds."""

    name: ClassVar[str] = "RabbitMQ"
    start_timeout_s: ClassVar[float] = 120.0

    def __init__(self, data_dir: Path | None = None, port: int | None = None) -> None:
        super().__init__(data_dir, port)
        self._epmd: ServerProcess | None = None
        self._epmd_port = free_port()
        self._distribution_port = free_port()

    @property
    def url(self) -> str:
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """Return the broker URL of a virtual host."""
        return f"amqp://{_USER}:{_USER}@{self.host}:{self.port}/{'' if vhost == '/' else vhost}"

    def add_vhosts(self, names: Sequence[str]) -> None:
        """Create virtual hosts in which the user of :attr:`url` may do everything."""
        definitions = self.data_dir / "definitions.json"
        everything = {"user": _USER, "configure": ".*", "write": ".*", "read": ".*"}
        definitions.write_text(
            json.dumps(
                {
                    "vhosts": [{"name": name} for name in names],
                    "permissions": [{"vhost": name, **everything} for name in names],
                }
            )
        )
        self.control("import_definitions", str(definitions))

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and return what it prints; takes 1 to 2 seconds.

        Raises:
            BrokerUnavailable: The command failed.
        """
        program = find_rabbitmq("rabbitmqctl")
        if program is None:
            raise BrokerUnavailable("this machine", "rabbitmqctl is not installed")
        try:
            done = subprocess.run(  # noqa: S603 - RabbitMQ's own program
                self._command([str(program), "--quiet", *arguments]),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_CONTROL_TIMEOUT_S,
                check=True,
            )
        except subprocess.TimeoutExpired as exc:
            raise BrokerUnavailable(self.name, f"rabbitmqctl {arguments[0]} hangs") from exc
        except subprocess.CalledProcessError as exc:
            raise BrokerUnavailable(self.name, f"rabbitmqctl {arguments[0]}: {exc.stderr.strip()}") from exc
        return done.stdout

    def stop(self) -> None:
        super().stop()
        self._stop_epmd()

    def kill(self) -> None:
        super().kill()
        self._stop_epmd()

    def _launch(self, lock: int) -> ServerProcess:
        program = find_rabbitmq()
        if program is None:
            raise BrokerUnavailable("this machine", "no RabbitMQ server is installed")
        (self.data_dir / "rabbitmq.conf").write_text(self._configuration())
        (self.data_dir / "enabled_plugins").write_text("[].\n")
        self._start_epmd()
        command = self._command([str(program)])
        return ServerProcess(command, self._environment(), self.data_dir / "rabbitmq.log", [lock])

    def _is_serving(self) -> bool:
        # The listener opens at the end of the boot; the first frame is Connection.Start.
        return answer_to(self.host, self.port, _PROTOCOL_HEADER, 1) == _METHOD_FRAME

    def _command(self, argv: Sequence[str]) -> list[str]:
        """Return a command line that runs one of the node's programs."""
        return list(argv)

    def _configuration(self) -> str:
        return _CONFIGURATION.format(host=self.host, port=self.port)

    def _start_epmd(self) -> None:
        # Without it the server starts a daemon that stays behind when the server is gone.
        epmd = shutil.which("epmd")
        if epmd is None:
            raise BrokerUnavailable("this machine", "Erlang's epmd, which RabbitMQ needs, is not on PATH")
        argv = self._command([epmd, "-port", str(self._epmd_port), "-address", LOOPBACK])
        self._epmd = ServerProcess(argv, self._environment(), self.data_dir / "epmd.log")

    def _stop_epmd(self) -> None:
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd = None

    def _environment(self) -> dict[str, str]:
        data = self.data_dir
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(data),  # the Erlang cookie lies there
            "RABBITMQ_NODENAME": f"gateway-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(data / "log"),
            "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
        }
