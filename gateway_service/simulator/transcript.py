"""Everything that was said, with time, host and session, and what a test wants to know about it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gateway_service.protocol.constants import SESSION_ENDING_CLOSE_CODES, Opcode
from gateway_service.simulator.sessions import Session

Side = Literal["client", "server"]


@dataclass(slots=True)
class Record:
    """One line of the transcript; a run of dispatches on one connection is one record."""

    at: float
    """Monotonic seconds."""
    connection: int
    """Number of the connection, counted from 1."""
    host: str
    """Host name the client dialled."""
    side: Side
    """Who spoke."""
    kind: Literal["open", "payload", "dispatches", "close", "lost", "violation"]
    op: int | None = None
    data: Any = None
    """``d`` of a payload (tokens masked), or the text of a violation."""
    session_id: str | None = None
    shard_id: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    code: int | None = None
    """Close code."""

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


class Transcript:
    """A bounded record of all connections."""

    def __init__(self, limit: int) -> None:
        self._records: deque[Record] = deque(maxlen=limit)
        self._runs: dict[int, Record] = {}
        self.forgotten = 0
        """Records that had to make room; assertions refuse to judge an incomplete transcript."""

    def __iter__(self) -> Iterator[Record]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Record) -> None:
        self.forgotten += len(self._records) == self._records.maxlen
        self._records.append(record)
        if record.kind in ("close", "lost"):
            self._runs.pop(record.connection, None)

    def add_dispatch(self, at: float, connection: int, host: str, session: Session, seq: int) -> None:
        """Note a dispatch; it lengthens the connection's present run when it continues it."""
        run = self._runs.get(connection)
        if run is not None and run.last_seq == seq - 1 and run.session_id == session.session_id:
            run.last_seq = seq
            return
        run = Record(
            at,
            connection,
            host,
            "server",
            "dispatches",
            op=Opcode.DISPATCH,
            session_id=session.session_id,
            shard_id=session.shard_id,
            first_seq=seq,
            last_seq=seq,
        )
        self.add(run)
        self._runs[connection] = run

    def payloads(self, op: int, *, side: Side = "client", shard_id: int | None = None) -> list[Record]:
        """Return the payloads with this opcode, oldest first."""
        return [
            record
            for record in self
            if record.kind == "payload"
            and record.op == op
            and record.side == side
            and shard_id in (None, record.shard_id)
        ]

    def closes(self, *, side: Side = "client") -> list[Record]:
        return [record for record in self if record.kind == "close" and record.side == side]

    def violations(self) -> list[Record]:
        """Return where a client broke a rule of Discord's."""
        return [record for record in self if record.kind == "violation"]

    def assert_identifies_paced(self, *, max_concurrency: int, window_s: float) -> None:
        """Fail when a key identified twice within the window."""
        last: dict[int, float] = {}
        for record in self._all(Opcode.IDENTIFY):
            key = (record.shard_id or 0) % max_concurrency
            if key in last and record.at - last[key] < window_s:
                raise AssertionError(
                    f"shard {record.shard_id} identified {record.at - last[key]:.3f} s after key {key}'s previous "
                    f"IDENTIFY; the window is {window_s} s"
                )
            last[key] = record.at

    def assert_sessions_kept(self) -> None:
        """Fail when a client ended a session by closing with 1000 or 1001."""
        self._refuse_if_incomplete()
        for record in self.closes():
            if record.session_id is not None and record.code in SESSION_ENDING_CLOSE_CODES:
                raise AssertionError(f"shard {record.shard_id} closed with {record.code} and ended its session")

    def assert_no_violations(self) -> None:
        """Fail when a client broke a rule of Discord's."""
        self._refuse_if_incomplete()
        if broken := self.violations():
            raise AssertionError("; ".join(f"shard {record.shard_id}: {record.data}" for record in broken))

    def assert_every_seq_delivered(self) -> None:
        """Fail when a session has a dispatch that was on no wire although a later one was."""
        self._refuse_if_incomplete()
        runs: dict[str, list[tuple[int, int]]] = {}
        for record in self:
            if record.kind == "dispatches" and record.session_id is not None:
                runs.setdefault(record.session_id, []).append((record.first_seq or 0, record.last_seq or 0))
        for session_id, spans in runs.items():
            delivered = 0
            for first, last in sorted(spans):
                if first > delivered + 1:
                    raise AssertionError(f"session {session_id}: {delivered + 1} to {first - 1} were never delivered")
                delivered = max(delivered, last)

    def _all(self, op: int) -> list[Record]:
        self._refuse_if_incomplete()
        return self.payloads(op)

    def _refuse_if_incomplete(self) -> None:
        if self.forgotten:
            raise AssertionError(f"{self.forgotten} records were forgotten: raise transcript_limit")


def masked(data: Any) -> Any:
    """Return the ``d`` of a payload without its token."""
    return data | {"token": "***"} if isinstance(data, dict) and "token" in data else data
