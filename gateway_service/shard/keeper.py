"""Keeps sessions in the store from a thread of its own, so that a slow disk never delays a heartbeat."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state.ports import SessionStore
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)


class SessionKeeper:
    """Write the newest state of each session; a store that fails is reported and tried again.

    While the store is out of reach the shards go on: a lost write costs replayed dispatches after a crash,
    which their equal ids make harmless, never a lost one.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="session-keeper")
        self._lock = Lock()
        self._unwritten: dict[int, Session | None] = {}
        """What the store does not have yet: one state of each shard, however long the store fails."""
        self._unwritten_ledgers: dict[str, SessionLedger] = {}
        self._is_scheduled = False
        self._saved: dict[int, Session] = {}
        self._saved_ledgers: dict[str, SessionLedger] = {}
        self._is_failing = False
        self.failure: BaseException | None = None
        """A fault of our own code in the thread; the process must end."""

    def save(self, sessions: Sequence[Session], ledgers: Sequence[SessionLedger] = ()) -> None:
        """Write those that changed since they were last written, and what could not be written; returns at once.

        What comes in one call is written in one transaction.
        """
        self._write({each.shard_id: each for each in sessions if self._saved.get(each.shard_id) != each}, ledgers)

    def forget(self, shard_id: int, ledgers: Sequence[SessionLedger] = ()) -> None:
        """Delete a session that cannot be resumed; returns at once."""
        self._write({shard_id: None}, ledgers)

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def _write(self, changes: Mapping[int, Session | None], ledgers: Sequence[SessionLedger]) -> None:
        with self._lock:
            self._unwritten.update(changes)
            saved = self._saved_ledgers
            self._unwritten_ledgers.update((each.session, each) for each in ledgers if saved.get(each.session) != each)
            if self._is_scheduled or not (self._unwritten or self._unwritten_ledgers):
                return
            self._is_scheduled = True
        self._thread.submit(self._write_all)

    def _write_all(self) -> None:
        with self._lock:
            changes, self._unwritten = self._unwritten, {}
            ledgers, self._unwritten_ledgers = self._unwritten_ledgers, {}
            self._is_scheduled = False
        try:
            self._store_all(changes, ledgers)
        except StateUnavailable as exc:
            if not self._is_failing:
                log_event(_log, logging.ERROR, LogEvent.STATE_FAILED, reason=str(exc))
            self._is_failing = True
            with self._lock:
                # Nobody knows what is left there: everything goes again, and what came up meanwhile is newer.
                self._unwritten = {**self._saved, **changes, **self._unwritten}
                self._unwritten_ledgers = {**self._saved_ledgers, **ledgers, **self._unwritten_ledgers}
                self._saved, self._saved_ledgers = {}, {}
        except Exception as exc:  # noqa: BLE001 - handed on, not swallowed
            self.failure = exc
        else:
            self._is_failing = False

    def _store_all(self, changes: Mapping[int, Session | None], ledgers: Mapping[str, SessionLedger]) -> None:
        forgotten = [shard_id for shard_id, session in changes.items() if session is None]
        sessions = [session for session in changes.values() if session is not None]
        for shard_id in forgotten:
            self._saved.pop(shard_id, None)
        self._store.save(sessions, forgotten=forgotten, ledgers=ledgers.values())
        self._saved.update((session.shard_id, session) for session in sessions)
        with self._lock:
            for session, ledger in ledgers.items():
                if ledger.is_settled:
                    self._saved_ledgers.pop(session, None)
                else:
                    self._saved_ledgers[session] = ledger
