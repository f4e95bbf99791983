"""State in Redis or Valkey, shared by the services of many hosts. docs/state.md lists the keys."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state.limits import HELD_S, LEDGERS_KEPT, MAX_IDENTIFIES, readable
from gateway_service.state.namespace import Namespace
from gateway_service.state.ports import Forgotten, IdentifyRecord, KeyBusy, Outdated, PermitAnswer, Taken
from gateway_service.state.redis_claims import RedisClaims
from gateway_service.state.redis_scripts import IDENTIFIES, OPEN, RESTORE, SAVE, TAKE, USED
from gateway_service.state.redis_server import RedisServer

_DAY_S: Final = 86_400.0
# Discord keeps a session for minutes without its shard. A live one is written with each dispatch.
SESSION_LIFE_S: Final = 7 * _DAY_S
LEDGER_LIFE_S: Final = 30 * _DAY_S
# Only the last day of them counts.
IDENTIFIES_LIFE_S: Final = 2 * _DAY_S


class RedisState:
    """The state of one namespace on one server. See :mod:`gateway_service.state.ports`."""

    def __init__(self, url: str, namespace: Namespace) -> None:
        """Make a client and ask the server whether it is there.

        Raises:
            ConfigurationError: The URL cannot be used, or names a node of a Redis Cluster.
            StateUnavailable: The server does not answer or refuses us.
        """
        self._server = RedisServer(url, "state_url")
        self._namespace = namespace
        # The braces keep the keys of a bot together where a proxy divides them, so that one script may use them.
        self._prefix = f"gateway:{{{namespace.bot_id}}}:"
        self._save = self._server.script(SAVE)
        self._identifies = self._server.script(IDENTIFIES)
        self._take = self._server.script(TAKE)
        self._restore = self._server.script(RESTORE)
        self._used = self._server.script(USED)
        self._claims = RedisClaims(self._server, self._key("claim", namespace.num_shards, ""))
        with self._server.opening():
            [self._epoch] = self._checked(self._server.script(OPEN), [], [], epoch=b"")
        self.eviction_policy = self._server.eviction_policy

    def load(self, shard_id: int) -> Session | None:
        with self._server.in_use() as client:
            text = client.hget(self._session_key(shard_id), "text")
        return None if text is None else readable(Session, text)

    def save(
        self,
        sessions: Collection[Session],
        *,
        forgotten: Collection[Forgotten] = (),
        ledgers: Collection[SessionLedger] = (),
    ) -> frozenset[int]:
        rows = [
            (self._session_key(each.shard_id), each.permit, each.session_id, each.seq, each.to_json())
            for each in sessions
        ]
        gone = [(self._session_key(each.shard_id), each.permit) for each in forgotten]
        accounts = [self._row_of(each) for each in ledgers]
        counts = (len(rows), len(gone), len(accounts))
        fields = (field for row in (*rows, *gone, *accounts) for field in row)
        newer = self._run(self._save, [], [_ms(LEDGER_LIFE_S), *counts, *fields])
        return frozenset(int(key.rpartition(b":")[2]) for key in newer)

    def ledgers(self) -> list[SessionLedger]:
        with self._server.in_use() as client:
            names = client.smembers(self._key("ledger-shards"))
            with client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hvals(self._key("ledgers", _text(name)))
                texts = [text for answer in pipeline.execute() for text in answer]
        known = [ledger for text in texts if (ledger := readable(SessionLedger, text)) is not None]
        return sorted(known, key=lambda each: (each.num_shards, each.shard_id, each.opened_at))

    def identifies(self, after: int = 0) -> Sequence[IdentifyRecord]:
        now_us, members = self._run(self._identifies, ["identifies"], [after])
        records = (map(int, member.split(b":")) for member in members)
        return [
            # A number is the time of its permit, as far as the clock was never set back.
            IdentifyRecord(number, shard_id, num_shards, max(0.0, (int(now_us) - number) / 1e6))
            for shard_id, num_shards, number in records
        ]

    def take_permit(self, shard_id: int, *, max_concurrency: int, known: int) -> PermitAnswer:
        wish = (shard_id, self._namespace.num_shards, max_concurrency, known)
        answer, *number = self._run(self._take, ["identifies"], [*wish, _ms(IDENTIFIES_LIFE_S), MAX_IDENTIFIES])
        if answer == b"outdated":
            return Outdated()
        return Taken(int(number[0])) if answer == b"taken" else KeyBusy(int(number[0]) / 1e6)

    def permit_used(self, shard_id: int, number: int) -> None:
        with self._server.in_use():
            self._used(keys=[self._key("permits")], args=[f"{shard_id}:{number}", _us(IDENTIFY_SPACING_S), _ms(HELD_S)])

    def permit_unused(self, shard_id: int, number: int) -> None:
        with self._server.in_use() as client:
            client.zrem(self._key("permits"), f"{shard_id}:{number}")

    def desired(self) -> Mapping[str, str]:
        with self._server.in_use() as client:
            return {_text(name): _text(value) for name, value in client.hgetall(self._key("desired")).items()}

    def desire(self, changes: Mapping[str, str | None]) -> None:
        with self._server.in_use() as client, client.pipeline() as transaction:
            for name, value in changes.items():
                if value is None:
                    transaction.hdel(self._key("desired"), name)
                else:
                    transaction.hset(self._key("desired"), name, value)
            transaction.execute()

    def restore(
        self, identifies: Collection[IdentifyRecord], held: Mapping[int, int], desired: Mapping[str, str]
    ) -> None:
        records = [(each.shard_id, each.num_shards, each.number) for each in identifies]
        fields = (field for row in (*records, *held.items(), *desired.items()) for field in row)
        counts = (len(records), len(held))
        self._run(self._restore, ["identifies", "desired"], [_ms(IDENTIFIES_LIFE_S), *counts, *fields])

    def claim(self, shard_ids: Iterable[int]) -> frozenset[int]:
        return self._claims.take(shard_ids)

    def close(self) -> None:
        self._claims.close()
        self._server.close()

    def _run(self, script: Any, keys: Iterable[str], args: Iterable[object]) -> list[Any]:
        """Call a script that begins with the check of the epoch; return what it answers behind it."""
        answer: list[Any]
        with self._server.in_use():
            epoch, *answer = self._checked(script, keys, args, epoch=self._epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            raise self._server.lost()
        return answer

    def _checked(self, script: Any, keys: Iterable[str], args: Iterable[object], *, epoch: bytes) -> Any:
        check = (epoch, uuid.uuid4().hex, _ms(SESSION_LIFE_S), _us(IDENTIFY_SPACING_S), _us(HELD_S))
        return script(keys=[self._key("epoch"), self._key("permits"), *map(self._key, keys)], args=[*check, *args])

    def _row_of(self, ledger: SessionLedger) -> tuple[Any, ...]:
        name = f"{ledger.num_shards}:{ledger.shard_id}"
        return (
            *(self._key("ledgers", name), self._key("ledger-ages", name), self._key("ledger-shards"), name),
            *(ledger.session, ledger.opened_at, ledger.to_json(), LEDGERS_KEPT if ledger.ended else 0),
            self._session_key(ledger.shard_id),
        )

    def _session_key(self, shard_id: int) -> str:
        return self._key("session", self._namespace.num_shards, shard_id)

    def _key(self, *parts: object) -> str:
        return self._prefix + ":".join(map(str, parts))


def _text(answer: bytes | str) -> str:
    return answer.decode() if isinstance(answer, bytes) else answer


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
