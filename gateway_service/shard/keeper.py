"""Keeps sessions in the store from a thread of its own, so that a slow disk never delays a heartbeat."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Final

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state import Forgotten, SessionStore
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# A store that lost everything is only noticed by a write, which a bot without traffic has no other reason for.
TOUCH_EVERY_S: Final = 5.0


class SessionKeeper:
    """Write the newest state of each session; a store that fails is reported and tried again.

    While the store is out of reach the shards go on: a lost write costs replayed dispatches after a crash,
    which their equal ids make harmless, never a lost one.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="session-keeper")
        self._lock = Lock()
        self._permits: dict[int, int] = {}
        """Number of the last permit of each shard."""
        self._unwritten: dict[int, Session | Forgotten] = {}
        """What the store does not have yet: one state of each shard, however long the store fails."""
        self._unwritten_ledgers: dict[str, SessionLedger] = {}
        self._is_scheduled = False
        self._touch_at = time.monotonic() + TOUCH_EVERY_S
        self._saved: dict[int, Session] = {}
        self._saved_ledgers: dict[str, SessionLedger] = {}
        self._superseded: set[int] = set()
        """Shards whose session there is a newer one in the store."""
        self.error: str | None = None
        """Why the last write failed; None when it did not."""
        self.failure: BaseException | None = None
        """A fault of our own code in the thread; the process must end."""

    def permitted(self, shard_id: int, number: int) -> None:
        """Note the permit of the session that a shard has, or will have."""
        self._permits[shard_id] = number

    def save(self, sessions: Sequence[Session], ledgers: Sequence[SessionLedger] = ()) -> None:
        """Write those that changed since they were last written, and what could not be written; returns at once.

        What comes in one call is written in one transaction.
        """
        numbered = [replace(each, permit=self._permits.get(each.shard_id, each.permit)) for each in sessions]
        with self._lock:
            new = [each for each in ledgers if self._saved_ledgers.get(each.session) != each]
        # A ledger never goes alone: where another process is further by now, the store has to refuse both.
        shard_ids = {each.shard_id for each in new}
        changed = (each for each in numbered if each.shard_id in shard_ids or self._saved.get(each.shard_id) != each)
        self._write({each.shard_id: each for each in changed}, new)

    def forget(self, shard_id: int, ledgers: Sequence[SessionLedger] = ()) -> None:
        """Delete a session that cannot be resumed; returns at once."""
        self._write({shard_id: Forgotten(shard_id, self._permits.get(shard_id, 0))}, ledgers)

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def _write(self, changes: Mapping[int, Session | Forgotten], ledgers: Sequence[SessionLedger]) -> None:
        with self._lock:
            self._unwritten.update(changes)
            self._unwritten_ledgers.update((each.session, each) for each in ledgers)
            is_due = self._unwritten or self._unwritten_ledgers or time.monotonic() >= self._touch_at
            if self._is_scheduled or not is_due:
                return
            self._touch_at = time.monotonic() + TOUCH_EVERY_S
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
            if self.error is None:
                log_event(_log, logging.ERROR, LogEvent.STATE_FAILED, reason=str(exc))
            self.error = str(exc)
            with self._lock:
                # Nobody knows what is left there: everything goes again, and what came up meanwhile is newer.
                self._unwritten = {**self._saved, **changes, **self._unwritten}
                self._unwritten_ledgers = {**self._saved_ledgers, **ledgers, **self._unwritten_ledgers}
                self._saved, self._saved_ledgers = {}, {}
        except Exception as exc:  # noqa: BLE001 - handed on, not swallowed
            self.failure = exc
        else:
            if self.error is not None:
                log_event(_log, logging.INFO, LogEvent.STATE_BACK)
            self.error = None

    def _store_all(self, changes: Mapping[int, Session | Forgotten], ledgers: Mapping[str, SessionLedger]) -> None:
        forgotten = [change for change in changes.values() if isinstance(change, Forgotten)]
        sessions = [change for change in changes.values() if isinstance(change, Session)]
        for gone in forgotten:
            self._saved.pop(gone.shard_id, None)
        superseded = self._store.save(sessions, forgotten=forgotten, ledgers=ledgers.values())
        for shard_id in superseded - self._superseded:
            log_event(_log, logging.ERROR, LogEvent.SESSION_SUPERSEDED, shard_id=shard_id)
        self._superseded = (self._superseded - changes.keys()) | superseded
        self._saved.update((session.shard_id, session) for session in sessions)
        with self._lock:
            for session, ledger in ledgers.items():
                if ledger.is_settled:
                    self._saved_ledgers.pop(session, None)
                else:
                    self._saved_ledgers[session] = ledger
