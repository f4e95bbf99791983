"""Which shards the services of all hosts run: keys that end a while after the process that has them."""

import os
import socket
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from gateway_service.errors import StateUnavailable
from gateway_service.state.redis_scripts import CLAIM, RELEASE_CLAIMS, RENEW_CLAIMS
from gateway_service.state.redis_server import RedisServer

# Whoever starts in the place of a killed service waits for this, so it is shorter than that patience.
CLAIM_LIFE_S: Final = 10.0


class RedisClaims:
    """The claims of this process on some shards; a thread renews them until they are given back."""

    def __init__(self, server: RedisServer, prefix: str, *, life_s: float = CLAIM_LIFE_S) -> None:
        """Make it; nothing is claimed yet.

        Args:
            server: Where the claims are.
            prefix: Of the key of each shard; its id follows.
            life_s: How long a claim outlives its process.
        """
        self._server = server
        self._prefix = prefix
        self._life_s = life_s
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._keys: set[str] = set()
        self._is_over = threading.Event()
        self._renewer: threading.Thread | None = None
        self._is_answered = True
        self._claim = server.script(CLAIM)
        self._renew = server.script(RENEW_CLAIMS)
        self._release = server.script(RELEASE_CLAIMS)

    def take(self, shard_ids: Iterable[int]) -> frozenset[int]:
        """Take all of these shards, or return those that another process has.

        Raises:
            StateUnavailable: The server cannot be used now.
        """
        keys = [f"{self._prefix}{shard_id}" for shard_id in shard_ids]
        with self._server.in_use():
            taken = self._claim(keys=keys, args=[self._owner, round(self._life_s * 1000)])
        if not taken:
            self._keys.update(keys)
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._keep, name="claims", daemon=True)
                self._renewer.start()
        return frozenset(int(key.decode().removeprefix(self._prefix)) for key in taken)

    def close(self) -> None:
        """Give everything back. A server that does not answer forgets it by itself, and no stop waits for that."""
        self._is_over.set()
        if self._renewer is not None and self._is_answered:
            self._renewer.join()
            with suppress(StateUnavailable), self._server.in_use():
                self._release(keys=sorted(self._keys), args=[self._owner])

    def _keep(self) -> None:
        while not self._is_over.wait(self._life_s / 3):
            is_answered = False
            # An outage is told by those who need an answer. What ended meanwhile is taken again, if it is free.
            with suppress(StateUnavailable), self._server.in_use():
                self._renew(keys=sorted(self._keys), args=[self._owner, round(self._life_s * 1000)])
                is_answered = True
            self._is_answered = is_answered
