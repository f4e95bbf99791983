"""The Redis link: kombu's message format, written by ourselves and pushed by the hundred.

kombu's consumers read lists from their right end; its exchanges are sets of bindings that publishers look up.
See kombu: transport/redis.py and transport/virtual/base.py.
"""

import contextlib
import itertools
import json
import time
import uuid
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway_service.contract import EVENTS_EXCHANGE, UNROUTED_QUEUE, lane_of, routing_key
from gateway_service.errors import BrokerUnavailable
from gateway_service.publisher.bindings import Bindings
from gateway_service.publisher.borders import broker_errors_mapped, place_of, reason_of
from gateway_service.publisher.envelope import Envelope, Origin, lasting_headers
from gateway_service.publisher.synchronous import SynchronousLink
from gateway_service.settings.urls import as_redis_py_reads_it
from gateway_service.topology import UNROUTED_MAX_LENGTH

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 10.0

_BINDINGS_KEY: Final = f"_kombu.binding.{EVENTS_EXCHANGE}"
# How long a worker that has just declared its queues may have to wait for its first message; the shorter time
# holds while some message has no queue at all.
_BINDINGS_LIFE_S: Final = 2.0
_UNROUTED_BINDINGS_LIFE_S: Final = 0.2

_MAX_TEMPLATES: Final = 4096

_MESSAGE: Final = (
    b'{"body":"%b","content-encoding":"utf-8","content-type":"application/json",'
    b'"headers":%b,"seq":%d,"guild_id":%b,"received_at":%a,"id":"%b","root_id":"%b"},'
    b'"properties":{"correlation_id":"%b","delivery_mode":2,"priority":0,"body_encoding":"base64",'
)
# The exchange is the anonymous one, so that a message which kombu restores (its worker died) goes back to this
# queue alone and not to every group once more. No two deliveries may share a tag: kombu keys its list of
# unacknowledged messages by it.
_DELIVERY: Final = b'"delivery_info":{"exchange":"","routing_key":%b},"delivery_tag":"%b-'


class RedisLink(SynchronousLink):
    """A link to Redis or Valkey as kombu uses them."""

    def __init__(self, url: str, origin: Origin) -> None:
        super().__init__()
        self._url = url
        self._origin = origin
        self._where = place_of(url)
        self._client: redis.Redis | None = None
        self._bindings = Bindings()
        self._bindings_at = float("-inf")
        # Queues by event name and lane, as long as the bindings are believed.
        self._routes: dict[tuple[str, int], tuple[str, ...]] = {}
        self._tag_prefix = uuid.uuid4().hex.encode()
        self._tags = itertools.count()
        self._lasting: dict[tuple[object, ...], bytes] = {}

    def connect(self) -> None:
        with broker_errors_mapped(self._where, redis.RedisError, ValueError):
            self._client = redis.Redis.from_url(
                as_redis_py_reads_it(self._url),
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=ANSWER_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),  # what to publish again is the outbox's decision
            )
            self._client.ping()

    def close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.close()

    def _publish(self, batch: Sequence[Envelope], confirmed: list[Envelope]) -> None:
        assert self._client is not None, "not connected"
        with broker_errors_mapped(self._where, redis.RedisError):
            self._refresh_bindings(_BINDINGS_LIFE_S)
            if any(not self._queues_of(envelope) for envelope in batch):
                self._refresh_bindings(_UNROUTED_BINDINGS_LIFE_S)
            values: dict[str, list[bytes]] = {}
            members: dict[str, list[Envelope]] = {}
            deliveries: dict[str, bytes] = {}
            for envelope in batch:
                message = self._message(envelope)
                for queue in self._queues_of(envelope) or (UNROUTED_QUEUE,):
                    if queue not in values:
                        values[queue], members[queue] = [], []
                        deliveries[queue] = _DELIVERY % (json.dumps(queue).encode(), self._tag_prefix)
                    values[queue].append(b'%b%b%d"}}' % (message, deliveries[queue], next(self._tags)))
                    members[queue].append(envelope)
            pipeline = self._client.pipeline(transaction=False)
            for queue, messages in values.items():
                pipeline.lpush(queue, *messages)
            if UNROUTED_QUEUE in values:
                pipeline.ltrim(UNROUTED_QUEUE, 0, UNROUTED_MAX_LENGTH - 1)
            answers = pipeline.execute(raise_on_error=False)
        failed = dict(pair for pair in zip(values, answers, strict=False) if isinstance(pair[1], Exception))
        missing = {id(envelope) for queue in failed for envelope in members[queue]}
        confirmed += [envelope for envelope in batch if id(envelope) not in missing]
        for exc in failed.values():
            # Out of memory, a replica, a full disk: the same thing again would not help, a new connection might.
            raise BrokerUnavailable(self._where, reason_of(exc)) from exc

    def _queues_of(self, envelope: Envelope) -> tuple[str, ...]:
        place = (envelope.event, lane_of(envelope.guild_id))
        queues = self._routes.get(place)
        if queues is None:
            queues = self._bindings.queues_for(routing_key(envelope.event, envelope.guild_id))
            self._routes[place] = queues
        return queues

    def _refresh_bindings(self, life_s: float) -> None:
        assert self._client is not None, "not connected"
        now = time.monotonic()
        if now - self._bindings_at > life_s:
            members: Any = self._client.smembers(_BINDINGS_KEY)
            self._bindings = Bindings.from_kombu(members)
            self._bindings_at = now
            self._routes.clear()

    def _message(self, envelope: Envelope) -> bytes:
        """Return the message up to what differs from queue to queue."""
        task_id = envelope.task_id.encode()
        guild_id = envelope.guild_id
        headers = self._lasting_headers(envelope)
        if envelope.traceparent is not None:
            headers += b',"traceparent":"%b"' % envelope.traceparent.encode()
        return _MESSAGE % (
            b64encode(envelope.body),
            headers,
            envelope.seq,
            b"null" if guild_id is None else b"%d" % guild_id,
            envelope.received_at,
            task_id,
            task_id,
            task_id,
        )

    def _lasting_headers(self, envelope: Envelope) -> bytes:
        """Return the JSON object of the lasting headers without its closing brace."""
        key = (envelope.event, envelope.session, envelope.kind, envelope.shard_id, envelope.num_shards)
        text = self._lasting.get(key)
        if text is None:
            if len(self._lasting) >= _MAX_TEMPLATES:
                self._lasting.clear()
            text = json.dumps(lasting_headers(envelope, self._origin), separators=(",", ":")).encode()[:-1]
            self._lasting[key] = text
        return text
