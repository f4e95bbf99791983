"""How far one session has been received and published, and what each of its dispatches becomes."""

from collections.abc import Callable, Iterable
from typing import Any

from gateway_service.contract import GuildKind, loads_exact
from gateway_service.errors import LocalProtocolError, RemoteProtocolError
from gateway_service.protocol import commands
from gateway_service.protocol.constants import MAX_SEQ, MAX_SEQ_JUMP, Compression
from gateway_service.protocol.effects import Deliver, Note
from gateway_service.protocol.guilds import GuildTracker, guild_id_of
from gateway_service.protocol.session import Session


class SessionProgress:
    """The current session of a shard. Neither of its two numbers ever goes down."""

    __slots__ = ("_guilds", "_session", "published_seq", "received_seq", "unreadable_seq")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._guilds = GuildTracker(session.guilds)
        self.published_seq = session.seq
        self.received_seq = session.seq
        """Of the last dispatch taken. In a fresh process it is what was published: the rest is replayed."""
        self.unreadable_seq = 0
        """Of the last dispatch that could not be read, found by counting."""

    @property
    def session_id(self) -> str:
        return self._session.session_id

    @property
    def compression(self) -> Compression:
        return self._session.compression

    @property
    def guild_count(self) -> int:
        return len(self._guilds)

    @property
    def guild_ids(self) -> tuple[int, ...]:
        """The guilds as of now, sorted."""
        return self._guilds.ids

    @property
    def session(self) -> Session:
        """The session as it may be stored now: nothing beyond what is published."""
        guilds = self._guilds.snapshot(self.published_seq)
        stored = self._session
        if stored.seq != self.published_seq or stored.guilds is not guilds:
            stored = self._session = Session(
                session_id=stored.session_id,
                resume_gateway_url=stored.resume_gateway_url,
                seq=self.published_seq,
                shard_id=stored.shard_id,
                num_shards=stored.num_shards,
                intents=stored.intents,
                guilds=guilds,
                compression=stored.compression,
                permit=stored.permit,
            )
        return stored

    def published(self, seq: int) -> None:
        """Take over the confirmed watermark; a number that this session cannot have reached is not its own."""
        if self.published_seq < seq <= self.received_seq:
            self.published_seq = seq

    def accept(self, event: str, seq: int, data: Any, raw: bytes) -> tuple[Deliver | Note, ...]:
        """Return the delivery of one dispatch, or why it is none.

        Raises:
            RemoteProtocolError: ``seq`` cannot be this session's.
        """
        received_seq = self.received_seq
        if seq <= received_seq:
            # Replayed after a resume, and the outbox still holds it: at-least-once is kept without it.
            return (Note("dispatch.duplicate", {"event": event, "seq": seq}),)
        if seq > received_seq + MAX_SEQ_JUMP:
            raise RemoteProtocolError(f"a sequence of {seq} after {received_seq}")
        self.received_seq = seq
        classify = _CLASSIFIERS.get(event)
        kind = classify(self._guilds, data, seq) if classify is not None else None
        deliver = Deliver(event, seq, raw, guild_id_of(event, data), kind)
        if seq == received_seq + 1:
            return (deliver,)
        gap = {
            "event": event,
            "seq": seq,
            "expected": received_seq + 1,
            "unreadable": received_seq < self.unreadable_seq < seq,
        }
        return Note("dispatch.gap", gap), deliver


def _receive_ready(guilds: GuildTracker, data: Any, seq: int) -> None:
    guilds.receive_ready(data, seq)


_CLASSIFIERS: dict[str, Callable[[GuildTracker, Any, int], GuildKind | None]] = {
    "READY": _receive_ready,
    "GUILD_CREATE": GuildTracker.receive_create,
    "GUILD_DELETE": GuildTracker.receive_delete,
}

CLASSIFIED_EVENTS = frozenset(_CLASSIFIERS)
"""Dispatches that change the session's guilds, so :meth:`SessionProgress.accept` must see them."""


def caught_up(session: Session, dispatches: Iterable[tuple[int, str, bytes]]) -> Session:
    """Return the session after dispatches that were received and stored when it was last saved.

    Args:
        session: As it was saved.
        dispatches: The sequence, name and JSON text of ``d`` of each, the one after ``session.seq`` first.
    """
    progress = SessionProgress(session)
    for seq, event, raw in dispatches:
        progress.accept(event, seq, loads_exact(raw) if event in CLASSIFIED_EVENTS else None, raw)
    progress.published(progress.received_seq)
    return progress.session


def session_id_of_ready(data: Any, *, token: str) -> str:
    """Return the session id that READY carries.

    Raises:
        RemoteProtocolError: There is none that a RESUME could carry.
    """
    session_id = data.get("session_id") if type(data) is dict else None
    if type(session_id) is not str or not session_id:
        raise RemoteProtocolError("READY without a session id")
    try:
        commands.resume(token=token, session_id=session_id, seq=MAX_SEQ)
    except LocalProtocolError:
        raise RemoteProtocolError("READY with a session id that cannot be resumed") from None
    return session_id
