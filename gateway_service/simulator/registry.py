"""All sessions of the bot: who owns a guild's dispatches, who may be resumed, and what was sent."""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from gateway_service.contract import session_hash, task_id_for
from gateway_service.protocol.constants import Intents, shard_id_of
from gateway_service.simulator.config import SimulatorConfig
from gateway_service.simulator.intents import is_wanted
from gateway_service.simulator.sessions import SESSION_ID_PREFIX, Session


@dataclass(frozen=True, slots=True)
class SentRange:
    """The dispatches 1 to ``last_seq`` of one session."""

    session_id: str
    shard_id: int
    num_shards: int
    number: int
    """Grows with each session that was opened."""
    last_seq: int
    skipped: frozenset[int] = frozenset()
    """Numbers among them that no dispatch has."""

    @property
    def session(self) -> str:
        """The session's public name, as in task ids."""
        return session_hash(self.session_id)

    def task_ids(self) -> Iterator[str]:
        """Yield the id that each dispatch has as a Celery task."""
        session = self.session
        return (task_id_for(session, seq) for seq in range(1, self.last_seq + 1) if seq not in self.skipped)


@dataclass(slots=True)
class SentCount:
    """How many dispatches went on a wire for the first time."""

    total: int = 0
    by_event: Counter[str] = field(default_factory=Counter)

    def add(self, event: str) -> None:
        self.total += 1
        self.by_event[event] += 1


class SessionRegistry:
    """Opens, finds, ends and feeds sessions."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._live: dict[str, Session] = {}
        self._by_shard: dict[tuple[int, int], list[Session]] = {}
        self._counts: Counter[int] = Counter()
        self._numbers = count()
        self._ended: list[SentRange] = []
        self.sent = SentCount()

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._live.values()))

    def open(self, *, shard_id: int, num_shards: int, intents: int) -> Session:
        session = Session(
            session_id=SESSION_ID_PREFIX + secrets.token_hex(12),
            shard_id=shard_id,
            num_shards=num_shards,
            number=next(self._numbers),
            intents=intents,
            replay_capacity=self._config.replay_capacity,
            replay_max_bytes=self._config.replay_max_bytes,
            replay_ttl_s=self._config.replay_ttl_s,
        )
        self._live[session.session_id] = session
        self._by_shard.setdefault((shard_id, num_shards), []).append(session)
        self._counts[num_shards] += 1
        return session

    def find(self, session_id: str, now: float) -> Session | None:
        """Return a session that can still be resumed."""
        self.expire(now)
        return self._live.get(session_id)

    def end(self, session: Session) -> None:
        """Make a session impossible to resume; does nothing the second time."""
        if self._live.pop(session.session_id, None) is None:
            return
        key = (session.shard_id, session.num_shards)
        self._by_shard[key].remove(session)
        self._counts[session.num_shards] -= 1
        self._ended.append(_range(session, session.sent_seq))

    def expire(self, now: float) -> None:
        """End the sessions that were without a connection for too long."""
        for session in self:
            if session.detached_at is not None and now - session.detached_at > self._config.session_ttl_s:
                self.end(session)

    def owners(self, guild_id: int | None) -> list[Session]:
        """Return the sessions that get a guild's dispatches; those of shard 0 without a guild.

        The same shard may be connected twice, and under several ``num_shards`` at once: each gets a copy.
        """
        return [
            session
            for num_shards, sessions in self._counts.items()
            if sessions
            for session in self._by_shard.get(
                (0 if guild_id is None else shard_id_of(guild_id, num_shards), num_shards), ()
            )
        ]

    def backlog(self) -> int:
        """Return how far the slowest session is behind.

        A session whose shard has identified again since it lost its connection does not count: nobody will
        come back for it.
        """
        return max(
            (
                session.backlog
                for sessions in self._by_shard.values()
                for session in sessions
                if session.listener is not None or session is sessions[-1]
            ),
            default=0,
        )

    def dispatch(
        self, event: str, body: bytes, guild_id: int | None, now: float, *, stripped: bytes | None = None
    ) -> int:
        """Append a dispatch to every session that wants it and return how many did.

        Args:
            event: ``t``.
            body: JSON text of ``d``.
            guild_id: Decides the shard.
            now: Monotonic seconds.
            stripped: ``d`` for sessions without MESSAGE_CONTENT, where that differs.
        """
        reached = 0
        for session in self.owners(guild_id):
            if is_wanted(event, session.intents, in_guild=guild_id is not None):
                plain = stripped is None or session.intents & Intents.MESSAGE_CONTENT
                session.append(event, body if plain or stripped is None else stripped, now)
                reached += 1
        return reached

    def sent_ranges(self) -> list[SentRange]:
        """Return what was put on a wire at least once, of all sessions there ever were."""
        return [*self._ended, *(_range(session, session.sent_seq) for session in self)]

    def dispatched_ranges(self) -> list[SentRange]:
        """Return what clients must have in the end: also what waits in sessions that can be resumed."""
        return [*self._ended, *(_range(session, session.last_seq) for session in self)]


def task_ids(ranges: Iterable[SentRange]) -> set[str]:
    """Return the task ids of all dispatches in ``ranges``."""
    return {task_id for sent in ranges for task_id in sent.task_ids()}


def _range(session: Session, last_seq: int) -> SentRange:
    return SentRange(
        session_id=session.session_id,
        shard_id=session.shard_id,
        num_shards=session.num_shards,
        number=session.number,
        last_seq=last_seq,
        skipped=frozenset(session.skipped),
    )
