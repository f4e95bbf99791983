"""One shard in this process: puts what its machine delivers into the outbox and keeps its counters."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from gateway_service.connection import Driver
from gateway_service.contract import session_hash
from gateway_service.ipc.messages import (
    ChildMessage,
    Fatal,
    GatewayUrlRequest,
    IdentifyAnswered,
    IdentifySent,
    PermitCancel,
    PermitRequest,
)
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.metrics import Histogram
from gateway_service.protocol.constants import UNASKED_EVENTS
from gateway_service.protocol.effects import Deliver, NoteName, SessionForgotten
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.reconnect import Cause
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.outbox import Outbox
from gateway_service.publisher.rungs import Rung, rung_of
from gateway_service.settings.routes import Routes
from gateway_service.shard.books import Book, Books
from gateway_service.shard.keeper import SessionKeeper
from gateway_service.shard.notes import NOTE_EVENTS, code_label
from gateway_service.shard.requests import Requests
from gateway_service.shard.tally import Tally
from gateway_service.telemetry import LogEvent, log_event
from gateway_service.waiting import is_set_within

_log: Final = logging.getLogger(__name__)


class Shard:
    """The host of one machine: everything the machine decides that is not about the socket happens here."""

    def __init__(
        self,
        machine: Machine,
        outbox: Outbox,
        keeper: SessionKeeper,
        books: Books,
        tell_supervisor: Callable[[ChildMessage], None],
        *,
        routes: Routes,
        heartbeats: Histogram,
        endings: Counter[tuple[str, str]],
    ) -> None:
        """Make the host of ``machine``.

        Args:
            machine: What decides.
            outbox: Where dispatches go.
            keeper: Where sessions go.
            books: Where the ledgers are kept.
            tell_supervisor: Sends a message.
            routes: What is published of what comes in.
            heartbeats: Gets the latency of each heartbeat.
            endings: Gets the cause and the close code of each connection that ended.
        """
        self.routes = routes
        """May be replaced at any time; they decide about what comes in from then on."""
        self._machine = machine
        self._outbox = outbox
        self._keeper = keeper
        self._books = books
        self._tell_supervisor = tell_supervisor
        self.driver = Driver(machine, self)
        self.requests = Requests(self._command, lambda: machine.state is State.LIVE, tell_supervisor)
        self.shard_id = machine.shard_id
        self._num_shards = machine.num_shards
        self._session: str = ""
        """Hash of the present session's id."""
        self._book: Book | None = None
        self._heard, self._heard_at = 0, 0.0
        self._tally = Tally()
        self._earlier = 0  # dispatches of the sessions before the present one
        self._is_answered = asyncio.Event()  # no IDENTIFY is under way
        self._is_answered.set()
        self._is_suspended = False
        self._has_changed = False
        self._rung = Rung.CONFIRMING  # as of the last call of rung()
        self._since = time.time()
        self._latency_s: float | None = None
        self._heartbeats = heartbeats
        self._endings = endings
        if machine.session is not None:
            self._follow(machine.session).guild_ids = machine.guild_ids

    def _follow(self, session: Session) -> Book:
        if self._session:
            # What the old session still has in the outbox is published all the same, so it may be counted now.
            self._earlier += self._outbox.counts(self._session).received
            self._outbox.close_session(self._session)
        self._session, self._heard_at = session_hash(session.session_id), 0.0
        self._outbox.open_session(self._session, session.seq)
        self._book = self._books.follow(self._session, self.shard_id, self._num_shards, session.seq, time.time())
        return self._book

    # What the machine decides.

    def deliver(self, dispatch: Deliver) -> None:
        now = time.time()
        if dispatch.event not in UNASKED_EVENTS:  # what a session without its intents gets as well proves nothing
            self._heard += 1
            self._heard_at = now
        if not self.routes.admits(dispatch.event, dispatch.seq):
            self._outbox.skip(self._session, dispatch.seq)
            return
        has_room = self._outbox.put(
            Envelope(
                dispatch.event,
                dispatch.seq,
                self._session,
                self.shard_id,
                self._num_shards,
                dispatch.guild_id,
                now,
                dispatch.kind,
                dispatch.raw,
            )
        )
        if dispatch.event in self.requests.events:
            self.requests.receive(dispatch.event, dispatch.raw)
        if not has_room and not self._is_suspended:
            self._is_suspended = True
            # Not from inside the machine's own call: what was read together with this dispatch is still stored.
            asyncio.get_running_loop().call_soon(self._suspend)

    def request_permit(self) -> None:
        self._tell_supervisor(PermitRequest(shard_id=self.shard_id))

    def cancel_permit(self) -> None:
        self._tell_supervisor(PermitCancel(shard_id=self.shard_id))

    def request_gateway_url(self) -> None:
        self._tell_supervisor(GatewayUrlRequest())

    def identify_sent(self) -> None:
        self._tally.identifies += 1
        self._tell_supervisor(IdentifySent(shard_id=self.shard_id))
        self._is_answered.clear()
        log_event(_log, logging.INFO, LogEvent.SHARD_IDENTIFYING, shard_id=self.shard_id)

    def identify_answered(self) -> None:
        self._tell_supervisor(IdentifyAnswered(shard_id=self.shard_id))
        self._is_answered.set()

    def session_opened(self, session: Session) -> None:
        self._keeper.save([session], [self._follow(session).stored()])

    def session_forgotten(self, forgotten: SessionForgotten) -> None:
        book = self._book
        assert book is not None, "a session that is forgotten was followed"
        book.heard(forgotten.received_seq, self._heard_at)
        ledger = self._books.end(book, forgotten.received_seq, forgotten.guild_ids, time.time(), forgotten.reason)
        self._keeper.forget(self.shard_id, [ledger])
        self._book = None

    def stopped(self, code: int | None, reason: str) -> None:
        log_event(_log, logging.ERROR, LogEvent.SHARD_FATAL, shard_id=self.shard_id, code=code, reason=reason)
        self._tell_supervisor(Fatal(shard_id=self.shard_id, code=code, reason=reason))

    def note(self, name: NoteName, fields: Mapping[str, Any]) -> None:
        self._tally.note(name, fields)
        if name == "connection.ended":
            self._endings[fields["cause"], code_label(fields["code"])] += 1
        if (book := self._book) is not None:
            self._note_in_book(book, name, fields)
        level, event = NOTE_EVENTS[name]
        if fields.get("cause") is Cause.ZOMBIE:
            level, event = logging.WARNING, LogEvent.SHARD_ZOMBIED
        note = name if event is LogEvent.SHARD_NOTE else None
        log_event(_log, level, event, shard_id=self.shard_id, session=self._session or None, note=note, **fields)

    def state_changed(self) -> None:
        self._since = time.time()
        self._has_changed = True
        log_event(_log, logging.DEBUG, LogEvent.SHARD_STATE, shard_id=self.shard_id, state=self._machine.state)

    # What the process asks for.

    def refresh(self) -> None:
        """Tell the machine how far the broker is, and reconnect when the outbox has room again."""
        if self._book is not None:
            self._book.heard(self._machine.received_seq, self._heard_at)
            if (seq := self._outbox.published_seq(self._session)) is not None:
                self._machine.published(seq)
        if self._is_suspended and self._outbox.has_settled:
            self._is_suspended = False
            log_event(_log, logging.INFO, LogEvent.SHARD_UNSUSPENDED, shard_id=self.shard_id)
            self.driver.tell(self._machine.unsuspend)

    def mark(self) -> None:
        """Bring machine and book to the same moment: what they have then is stored together."""
        if self._book is not None:
            seq, counts = self._outbox.safe_counts(self._session)
            if seq is not None:
                self._machine.published(seq)
                self._book.mark(seq, counts)

    def has_changed(self) -> bool:
        """Tell whether the state is another one than at the last call."""
        changed, self._has_changed = self._has_changed, False
        return changed

    @property
    def session(self) -> Session | None:
        """What another process needs to resume this shard, as of the last :meth:`mark`."""
        return self._machine.session

    def restart(self, *, resume: bool) -> None:
        """Make another connection at once, with the present session or with a new one."""
        self.driver.tell(lambda now: self._machine.restart(now, resume=resume))

    def use_gateway(self, url: str) -> None:
        """Dial the generic gateway at ``url`` from now on; a present connection stays."""
        self._machine.gateway_url = url

    async def drain(self, patience_s: float) -> None:
        """Take no further dispatch; heartbeats go on.

        An IDENTIFY under way gets its answer first, within ``patience_s``: else nobody would know the session that it
        begins, and the next process would spend another one.
        """
        self.requests.close()
        await is_set_within(self._is_answered, patience_s)
        self.driver.tell(self._machine.drain)

    def rung(self, *, is_broker_up: bool) -> Rung:
        """Return how far down the ladder the shard is."""
        counts = self._outbox.counts(self._session)
        self._rung = rung_of(
            is_suspended=self._is_suspended,
            spool_rows=counts.spooled,
            pending=counts.pending,
            is_broker_up=is_broker_up,
            confirm_lag_s=counts.lag_s(time.time()),
        )
        return self._rung

    def status(self) -> ShardStatus:
        """Return what operators want to know of this shard."""
        machine = self._machine
        if machine.latency_s is not None and machine.latency_s != self._latency_s:
            self._heartbeats.observe(machine.latency_s)
        self._latency_s = machine.latency_s
        counts = self._outbox.counts(self._session)
        return ShardStatus(
            shard_id=self.shard_id,
            state=machine.state.value,
            session=self._session or None,
            session_since=None if self._book is None else self._book.before.opened_at,
            received_seq=machine.received_seq,
            published_seq=self._outbox.published_seq(self._session),
            latency_s=machine.latency_s,
            guilds=machine.guild_count,
            received=self._earlier + counts.received,
            published=self._earlier + counts.published,
            rung=self._rung,
            pending=counts.pending,
            pending_bytes=counts.pending_bytes,
            spool_bytes=counts.spooled_bytes,
            spool_rows=counts.spooled,
            confirm_lag_s=counts.lag_s(time.time()),
            heard=self._heard,
            gaps=self._books.gaps[self.shard_id],
            is_balanced=self._book is None or not self._books.faults_of(self._book),
            queued_commands=machine.queued_commands,
            since=self._since,
            **asdict(self._tally),
        )

    def _command(self, op: int, data: Any) -> None:
        self.driver.tell(lambda now: self._machine.command(op, data, now))

    def _note_in_book(self, book: Book, name: NoteName, fields: Mapping[str, Any]) -> None:
        if name == "dispatch.duplicate":
            book.duplicates += 1
        elif name in ("session.resumed", "session.replayed"):
            book.replayed += fields["replayed"]
        elif name == "dispatch.gap" and "expected" in fields:
            book.guild_ids = self._machine.guild_ids
            self._books.skipped(book, range(fields["expected"], fields["seq"]), fields["unreadable"], time.time())

    def _suspend(self) -> None:
        pending = self._outbox.pending_bytes
        log_event(_log, logging.WARNING, LogEvent.SHARD_SUSPENDED, shard_id=self.shard_id, pending_bytes=pending)
        self.driver.tell(self._machine.suspend)
