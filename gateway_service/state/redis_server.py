"""One Redis or Valkey server as our stores use it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway_service.errors import ConfigurationError, GatewayServiceError, StateUnavailable
from gateway_service.settings.urls import as_redis_py_reads_it, masked

# A drain may have to wait for a server that does not answer twice, inside its ten seconds.
TIMEOUT_S: Final = 2.0
_NO_EVICTION: Final = "noeviction"


class RedisServer:
    """A client, and what its errors mean to whoever runs the service. For any thread."""

    def __init__(self, url: str, setting: str) -> None:
        """Make a client; nothing is sent yet.

        Args:
            url: ``redis://…`` or ``rediss://…``.
            setting: Name of the setting that has it.

        Raises:
            ConfigurationError: The URL cannot be used.
        """
        self._where = masked(url)
        self._setting = setting
        self.eviction_policy: str | None = None
        """By which policy a full server drops keys, known when it was opened; None when it drops none, or is silent."""
        try:
            self.client = redis.Redis.from_url(
                as_redis_py_reads_it(url),
                socket_connect_timeout=TIMEOUT_S,
                socket_timeout=TIMEOUT_S,
                client_name="gateway-service",
                # A connection that a restart of the server ended is no outage; one that does not answer is.
                retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            )
        except ValueError as exc:
            raise ConfigurationError(f"{setting}: {exc}") from exc

    @contextmanager
    def in_use(self) -> Iterator[redis.Redis]:
        """Give the client for some calls.

        Raises:
            StateUnavailable: The server cannot be used now.
        """
        try:
            yield self.client
        except (redis.RedisError, OSError) as exc:
            raise StateUnavailable(self._where, str(exc) or type(exc).__name__) from exc

    @contextmanager
    def opening(self) -> Iterator[redis.Redis]:
        """Give the client for the first calls; if they fail, it is closed.

        Raises:
            ConfigurationError: The server is a node of a Redis Cluster.
            StateUnavailable: The server cannot be used now.
        """
        try:
            with self.in_use() as client:
                self._look_at(client)
                yield client
        except GatewayServiceError:
            self.close()
            raise

    def _look_at(self, client: redis.Redis) -> None:
        # Managed servers and proxies may refuse the question. Then nothing is known, and it is used as it is. CONFIG is
        # refused more often.
        with suppress(redis.ResponseError):
            info = client.info()
            if info.get("maxmemory") and info.get("maxmemory_policy") != _NO_EVICTION:
                self.eviction_policy = info.get("maxmemory_policy")
            if info.get("cluster_enabled"):
                raise ConfigurationError(
                    f"{self._setting}: {self._where} is a node of a Redis Cluster, which cannot be used; "
                    f"name a server with cluster-enabled no (GATEWAY_{self._setting.upper()})"
                )

    def lost(self) -> StateUnavailable:
        """Return what tells that the server has nothing any more of what was written."""
        return StateUnavailable(self._where, "it lost what it had; everything is written again")

    def script(self, text: str) -> Any:
        """Return a Lua script to call with ``keys`` and ``args``; each is one step for everybody else."""
        return self.client.register_script(text)

    def close(self) -> None:
        self.client.close()
