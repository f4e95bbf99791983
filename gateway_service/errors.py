"""The one error tree. A leaf names the condition and carries facts; text is made in ``__str__``.

GatewayServiceError
├── ConfigurationError        a setting, file or flag is wrong            exit EX_CONFIG
├── TokenRefused              Discord refused the bot token               exit EX_CONFIG
├── FatalClose                Discord closed with a code that never heals exit EX_CONFIG
├── ShardUnavailable          a shard cannot do what was asked of it
├── TrialFailed               a shard process would not start now
├── ServiceUnavailable        something we need does not answer           exit EX_UNAVAILABLE
│   ├── ApiUnavailable        Discord's REST API
│   ├── BrokerUnavailable     the Celery broker
│   │   └── MessageTooLarge   it ends a connection over one message's size
│   ├── StateUnavailable      the session store
│   └── SpoolUnavailable      the disk spool of a shard process
│       └── SpoolCorrupt      what is there cannot be understood
├── ProtocolError
│   ├── LocalProtocolError    we were about to break Discord's rules
│   │   └── PayloadTooLong, CommandQueueFull, ShardEnding
│   └── RemoteProtocolError   the peer sent what Discord's documentation forbids
│       └── MessageTooLong    a message, or what it inflates to, is larger than we take
├── ControlError              see refusals.py
└── ConnectFailed             no WebSocket to the gateway was opened
"""

import os
from typing import Final

EX_OK: Final = os.EX_OK
EX_REFUSED: Final = 1
EX_USAGE: Final = 2  # click's own code for a wrong command line
EX_UNAVAILABLE: Final = os.EX_UNAVAILABLE  # 69
EX_SOFTWARE: Final = os.EX_SOFTWARE  # 70
EX_CONFIG: Final = os.EX_CONFIG  # 78; a supervisor must not restart on it
EX_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it


class GatewayServiceError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code: int = EX_SOFTWARE


class ConfigurationError(GatewayServiceError):
    """One or more settings are wrong; ``faults`` has one sentence each, naming the setting."""

    exit_code = EX_CONFIG

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.faults = faults

    def __str__(self) -> str:
        return "; ".join(self.faults)


class TokenRefused(GatewayServiceError):
    """Discord answered 401: the token is wrong or was reset."""

    exit_code = EX_CONFIG

    def __str__(self) -> str:
        return (
            "Discord refused the bot token (HTTP 401): set DISCORD_TOKEN to the token shown under "
            "Bot in the developer portal"
        )


class FatalClose(GatewayServiceError):
    """Discord closed shard ``shard_id`` with a code after which it allows no further connection."""

    exit_code = EX_CONFIG

    def __init__(self, shard_id: int, code: int, meaning: str) -> None:
        super().__init__(shard_id, code, meaning)
        self.shard_id = shard_id
        self.code = code
        self.meaning = meaning

    def __str__(self) -> str:
        return f"Discord closed shard {self.shard_id} with {self.code}: {self.meaning}"


class ShardUnavailable(GatewayServiceError):
    """A shard cannot do what was asked of it: it is not ours, does not run, or Discord refused it."""

    def __init__(self, shard_id: int, reason: str) -> None:
        super().__init__(shard_id, reason)
        self.shard_id = shard_id
        self.reason = reason

    def __str__(self) -> str:
        return f"shard {self.shard_id} is not available: {self.reason}"


class TrialFailed(GatewayServiceError):
    """A shard process of what is installed and set now does not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"a trial process without shards did not start: {self.reason}"


class ServiceUnavailable(GatewayServiceError):
    """Something outside this process did not answer; ``where`` never holds a password."""

    exit_code = EX_UNAVAILABLE
    what = "a service"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} at {self.where} is not available: {self.reason}"


class ApiUnavailable(ServiceUnavailable):
    """Discord's REST API did not give a usable answer."""

    what = "Discord's API"


class BrokerUnavailable(ServiceUnavailable):
    """The Celery broker cannot be reached or refused us."""

    what = "the broker"


class MessageTooLarge(BrokerUnavailable):
    """The broker ended the connection because it never takes a message whose body is longer than ``max_bytes``."""

    def __init__(self, where: str, reason: str, max_bytes: int) -> None:
        super().__init__(where, reason)
        self.args = (where, reason, max_bytes)
        self.max_bytes = max_bytes


class StateUnavailable(ServiceUnavailable):
    """The session store cannot be read or written."""

    what = "the state store"


class SpoolUnavailable(ServiceUnavailable):
    """The spool on disk cannot be read or written."""

    what = "the spool"


class SpoolCorrupt(SpoolUnavailable):
    """A file of the spool is damaged, or something else than a spool."""


class ProtocolError(GatewayServiceError):
    """A rule of the gateway protocol was broken; raise one of the two leaves."""


class LocalProtocolError(ProtocolError):
    """Our side asked for something Discord forbids; a fault in the caller."""


class PayloadTooLong(LocalProtocolError):
    """A payload has more bytes than Discord takes."""


class CommandQueueFull(LocalProtocolError):
    """As many commands as may wait do so already."""


class ShardEnding(LocalProtocolError):
    """The shard is draining or stopped and takes no command."""


class RemoteProtocolError(ProtocolError):
    """The server sent something it must not send; the connection cannot be trusted any more."""


class MessageTooLong(RemoteProtocolError):
    """A message, or what it inflates to, has more than ``max_bytes``; it was not read further."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.max_bytes = max_bytes

    def __str__(self) -> str:
        return f"a message inflates to more than {self.max_bytes} bytes"


class ConnectFailed(GatewayServiceError):
    """No WebSocket was opened: refused, DNS, TLS, a time-out, or an HTTP status instead of 101."""

    def __init__(self, url: str, reason: str, status: int | None = None) -> None:
        super().__init__(url, reason, status)
        self.url = url
        self.reason = reason
        self.status = status

    def __str__(self) -> str:
        return f"cannot connect to {self.url}: {self.reason}"
