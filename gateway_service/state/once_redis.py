"""Runs in Redis or Valkey, shared by the workers of many hosts. All times are the server's."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway_service.errors import ConfigurationError, StateUnavailable
from gateway_service.settings.urls import as_redis_py_reads_it, masked
from gateway_service.state.once import Claim, Done, Granted, Held

_PREFIX: Final = "gateway:once:"
_DONE: Final = b"done"
_CONNECT_TIMEOUT_S: Final = 3.0
_ANSWER_TIMEOUT_S: Final = 3.0

# Each script is one step for everybody else. The lease of another is never touched.
_BEGIN: Final = """
    if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {1, '', 0} end
    return {0, redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
"""
_RENEW: Final = """
    for _, key in ipairs(KEYS) do
        if redis.call('GET', key) == ARGV[1] then redis.call('PEXPIRE', key, ARGV[2]) end
    end
"""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisOnce:
    """See :class:`gateway_service.state.once.Once`."""

    def __init__(self, url: str) -> None:
        """Make a client and ask the server whether it is there.

        Raises:
            ConfigurationError: The URL cannot be used.
            StateUnavailable: The server does not answer.
        """
        self._where = masked(url)
        try:
            self._client = redis.Redis.from_url(
                as_redis_py_reads_it(url),
                socket_connect_timeout=_CONNECT_TIMEOUT_S,
                socket_timeout=_ANSWER_TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),  # a connection that a restart of the server ended is no outage
            )
        except ValueError as exc:
            raise ConfigurationError(f"once_url: {exc}") from exc
        with self._errors_mapped():
            self._client.ping()
        self._begin = self._client.register_script(_BEGIN)
        self._renew = self._client.register_script(_RENEW)
        self._release = self._client.register_script(_RELEASE)

    def begin(self, key: str, owner: str, lease_s: float) -> Claim:
        with self._errors_mapped():
            is_granted, value, left_ms = self._begin(keys=[_PREFIX + key], args=[owner, _milliseconds(lease_s)])
        if is_granted:
            return Granted()
        return Done() if value == _DONE else Held(max(0, left_ms) / 1000)

    def renew(self, keys: Iterable[str], owner: str, lease_s: float) -> None:
        with self._errors_mapped():
            self._renew(keys=[_PREFIX + key for key in keys], args=[owner, _milliseconds(lease_s)])

    def finish(self, key: str, keep_s: float) -> None:
        with self._errors_mapped():
            self._client.set(_PREFIX + key, _DONE, px=_milliseconds(keep_s))

    def release(self, key: str, owner: str) -> None:
        with self._errors_mapped():
            self._release(keys=[_PREFIX + key], args=[owner])

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _errors_mapped(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as exc:
            raise StateUnavailable(self._where, str(exc) or type(exc).__name__) from exc


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
