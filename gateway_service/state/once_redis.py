"""Runs in Redis or Valkey, shared by the workers of many hosts. All times are the server's."""

from collections.abc import Iterable
from typing import Final

from gateway_service.state.once import Claim, Done, Granted, Held, RunKey
from gateway_service.state.redis_server import RedisServer

_DONE: Final = b"done"

# Each script is one step for everybody else. The lease of another is never touched.
_BEGIN: Final = """
    if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {1, '', 0} end
    return {0, redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
"""
_RENEW: Final = """
    for _, key in ipairs(KEYS) do
        local owner = redis.call('GET', key)
        if not owner or owner == ARGV[1] then redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
    end
"""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisOnce:
    """See :class:`gateway_service.state.once.Once`."""

    def __init__(self, url: str) -> None:
        """Make a client and ask the server whether it is there.

        Raises:
            ConfigurationError: The URL cannot be used, or names a node of a Redis Cluster.
            StateUnavailable: The server does not answer.
        """
        self._server = RedisServer(url, "once_url")
        with self._server.opening() as client:
            client.ping()
        self._begin = self._server.script(_BEGIN)
        self._renew = self._server.script(_RENEW)
        self._release = self._server.script(_RELEASE)

    def begin(self, key: RunKey, owner: str, lease_s: float) -> Claim:
        with self._server.in_use():
            is_granted, value, left_ms = self._begin(keys=[_place_of(key)], args=[owner, _milliseconds(lease_s)])
        if is_granted:
            return Granted()
        return Done() if value == _DONE else Held(max(0, left_ms) / 1000)

    def renew(self, keys: Iterable[RunKey], owner: str, lease_s: float) -> None:
        with self._server.in_use():
            self._renew(keys=[*map(_place_of, keys)], args=[owner, _milliseconds(lease_s)])

    def finish(self, key: RunKey, keep_s: float) -> None:
        with self._server.in_use() as client:
            client.set(_place_of(key), _DONE, px=_milliseconds(keep_s))

    def release(self, key: RunKey, owner: str) -> None:
        with self._server.in_use():
            self._release(keys=[_place_of(key)], args=[owner])

    def close(self) -> None:
        self._server.close()


def _place_of(key: RunKey) -> str:
    return f"gateway:{{{key.bot_id}}}:once:{key.run}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
