"""``once=True``: a handler runs once for each dispatch, however often the message of it arrives.

What happens when something dies in the middle is a table in docs/handlers.md.
"""

import functools
import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any, Final

from celery.exceptions import Ignore, Reject
from celery.utils.log import get_logger

from gateway_service.contract import Dispatch
from gateway_service.errors import StateUnavailable
from gateway_service.settings.urls import masked
from gateway_service.state.once import Claim, Done, Granted, Held, Once, RunKey, open_once
from gateway_service.worker.handlers import REQUEUES_HEADER

ONCE_URL_KEY: Final = "gateway_once_url"
"""Setting of the Celery application: GATEWAY_ONCE_URL."""
LOCAL_ONCE_URL: Final = "sqlite:///.gateway/once.db"
# Whoever dies over a run keeps it this long from the others. A run may take any time: its lease is renewed.
LEASE_S: Final = 15.0
_RENEW_EVERY_S: Final = LEASE_S / 3
# Copies of a message come within minutes. Only a broker that lost an acknowledgement, and then found no worker for a
# long time, brings one later.
KEEP_S: Final = 86_400.0
_STORE_PAUSE_S: Final = 5.0
# A handler has run by then, so forgetting it is worth some patience.
_FINISH_PAUSES_S: Final = (0.1, 0.5, 2.0)

_log = get_logger(__name__)

TaskFunction = Callable[..., Any]


class Runs:
    """The runs of this process that are under way, and the thread that renews their leases until they are over."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._store: Once | None = None
        self._lock = threading.Lock()
        self._under_way: set[RunKey] = set()
        self._renewer: threading.Thread | None = None
        self._is_over = threading.Event()

    def begin(self, key: RunKey) -> Claim:
        """Ask for a run.

        Raises:
            StateUnavailable: Whether it was made cannot be known now.
        """
        claim = self._opened().begin(key, self._owner, LEASE_S)
        if isinstance(claim, Granted):
            with self._lock:
                self._under_way.add(key)
                if self._renewer is None:
                    self._renewer = threading.Thread(target=self._renew, name="once-leases", daemon=True)
                    self._renewer.start()
        return claim

    def finish(self, key: RunKey, keep_s: float) -> None:
        """Note that a run was made. When the store does not take that, the run stands, and the log has an error."""
        for pause_s in (*_FINISH_PAUSES_S, None):
            try:
                self._opened().finish(key, keep_s)
            except StateUnavailable as exc:
                if pause_s is None:
                    _log.error("The run %s is not noted; another copy of its message would run again: %s", key, exc)
                else:
                    self._is_over.wait(pause_s)
            else:
                break
        self._drop(key)

    def release(self, key: RunKey) -> None:
        """Let others make the run at once; if the store does not answer, they wait for the end of the lease."""
        self._drop(key)
        try:
            self._opened().release(key, self._owner)
        except StateUnavailable as exc:
            _log.warning("The run %s stays reserved for %g s: %s", key, LEASE_S, exc)

    def close(self) -> None:
        self._is_over.set()
        if self._renewer is not None:
            self._renewer.join()
        if self._store is not None:
            self._store.close()

    def _opened(self) -> Once:
        if self._store is None:
            self._store = open_once(self._url)
        return self._store

    def _drop(self, key: RunKey) -> None:
        with self._lock:
            self._under_way.discard(key)

    def _renew(self) -> None:
        while not self._is_over.wait(_RENEW_EVERY_S):
            with self._lock:
                keys = tuple(self._under_way)
            if keys:
                try:
                    self._opened().renew(keys, self._owner, LEASE_S)
                except StateUnavailable as exc:
                    _log.warning("The leases of %d runs are not renewed: %s", len(keys), exc)


@functools.cache
def _runs_of_process(_pid: int, url: str) -> Runs:
    return Runs(url)


def runs_of(app: Any) -> Runs:
    """Return the runs of this process; a pool process has its own, because no connection survives a fork."""
    return _runs_of_process(os.getpid(), once_url_of(app))


def once_url_of(app: Any) -> str:
    """Return where runs are noted: as set, else the broker when that is Redis, else a file of this host."""
    if url := app.conf.get(ONCE_URL_KEY):
        return str(url)
    broker_url = str(app.conf.broker_write_url or app.conf.broker_url)
    return broker_url if broker_url.startswith(("redis://", "rediss://")) else LOCAL_ONCE_URL


def announce_store(app: Any) -> None:
    """Say at the start of a worker where runs are noted, and whether that works.

    Raises:
        ConfigurationError: The URL cannot be used.
    """
    url = once_url_of(app)
    try:
        open_once(url).close()
    except StateUnavailable as exc:
        _log.error("Handlers with once=True wait until this is cured: %s", exc)
    if url.startswith("sqlite:"):
        _log.warning(
            "Handlers with once=True note their runs in %s, for the workers of this host alone; if there are workers "
            "on other hosts, set GATEWAY_ONCE_URL to a redis:// URL for all of them",
            url,
        )
    else:
        _log.info("Handlers with once=True note their runs in %s", masked(url))


def key_of(request: Any) -> RunKey:
    """Return the key of a run: the bot, the dispatch, the handler, and which of its retries it is."""
    requeues = request.headers.get(REQUEUES_HEADER, 0)
    return RunKey(request.headers["bot_id"], f"{request.id}:{request.retries}:{requeues}")


def note_timeout(task: Any, request: Any) -> None:
    """Note a run whose process was killed at the time limit, because a failure is an outcome."""
    if task.once_keep_s is not None:
        runs_of(task.app).finish(key_of(request), task.once_keep_s)


def once_per_dispatch(run: TaskFunction) -> TaskFunction:
    """Return ``run`` so that it is made once for each key: copies of its message are dropped or wait.

    A copy is dropped only when the run is over. While another is at it, the copy waits for the end of the lease,
    because it may be the last one: who has the first may die.
    """

    @functools.wraps(run)
    def guarded(task: Any, data: Any, dispatch: Dispatch | None = None) -> Any:
        if task.request.called_directly:
            return run(task, data, dispatch)
        key, runs = key_of(task.request), runs_of(task.app)
        try:
            claim = runs.begin(key)
        except StateUnavailable as exc:
            _log.warning("The run %s waits %g s: %s", key, _STORE_PAUSE_S, exc)
            task.put_off(_STORE_PAUSE_S)
        match claim:
            case Done():
                _log.info("The run %s was made before; this copy of its message is dropped", key)
                raise Ignore("made before")
            case Held(for_s=for_s):
                _log.info("The run %s is another worker's for %.1f s more; this copy of its message waits", key, for_s)
                task.put_off(for_s)
        try:
            result = run(task, data, dispatch)
        except Reject as exc:
            if exc.requeue:
                runs.release(key)
            else:
                runs.finish(key, task.once_keep_s)
            raise
        except Exception:
            # A failure is an outcome, and a retry is another run, with a key of its own.
            runs.finish(key, task.once_keep_s)
            raise
        except BaseException:
            runs.release(key)  # this process ends, and the message goes to another
            raise
        runs.finish(key, task.once_keep_s)
        return result

    return guarded
