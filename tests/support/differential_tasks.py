"""Handlers for comparing the fast path with Celery's: each does what its payload says, and records what it saw."""

import os
import time
from pathlib import Path
from typing import Any

from celery import signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.worker import state

from gateway_service import Dispatch, on
from gateway_service.worker import app
from tests.support.recording import record_line
from tests.support.scenarios import RESULTS_FOLDER
from tests.support.worker import RECORD_VARIABLE

_results = Path(os.environ[RECORD_VARIABLE]).parent / RESULTS_FOLDER
_results.mkdir()
app.conf.result_backend = f"file://{_results}"

SIGNALS = ("prerun", "postrun", "success", "failure", "retry", "revoked", "rejected", "unknown", "internal_error")


class Unpicklable(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")
        self.hook = lambda: None


def _id_in(sender: Any, facts: dict[str, Any]) -> Any:
    if "message" in facts:
        return facts["message"].headers["id"]
    return facts.get("task_id") or facts.get("request", sender.request).id


def _listen(name: str) -> None:
    def record_signal(sender: Any = None, **facts: Any) -> None:
        shown = ("args", "kwargs", "retval", "state", "result", "exception", "terminated", "expired", "signum")
        line = {key: repr(facts[key]) for key in shown if key in facts}
        record_line({"signal": name, "id": _id_in(sender, facts), "reason": str(facts.get("reason")), **line})

    getattr(signals, f"task_{name}").connect(record_signal, weak=False)


for _name in SIGNALS:
    _listen(_name)

_requeued: set[str] = set()


def act(self: Any, data: Any) -> Any:
    """Do what ``data["do"]`` says."""
    request = self.request
    record_line(
        {
            "ran": self.name,
            "id": request.id,
            "inline": request.id not in state.requests,
            "retries": request.retries,
            "data": repr(data)[:200],
            "request": {
                key: repr(getattr(request, key))
                for key in (
                    "root_id",
                    "parent_id",
                    "group",
                    "correlation_id",
                    "reply_to",
                    "is_eager",
                    "callbacks",
                    "errbacks",
                    "chain",
                    "chord",
                    "eta",
                    "expires",
                    "timelimit",
                    "called_directly",
                    "origin",
                    "shadow",
                    "stamps",
                )
            }
            | {"exchange": request.delivery_info["exchange"], "headers": sorted(request.headers or {})},
        }
    )
    do = data.get("do") if isinstance(data, dict) else None
    match do:
        case "return":
            return data["value"]
        case "return an object":
            return object
        case "fail":
            data.clear()
            raise ValueError("as it was told")
        case "fail with a cause":
            try:
                return data["żółw"]
            except KeyError as exc:
                raise RuntimeError("later") from exc
        case "fail unpicklably":
            raise Unpicklable(1, 2)
        case "fail as expected":
            raise LookupError("expected")
        case "ignore":
            raise Ignore("not now")
        case "reject":
            raise Reject("never", requeue=False)
        case "requeue once":
            if request.id not in _requeued:
                _requeued.add(request.id)
                raise Reject("once more", requeue=True)
        case "retry":
            raise self.retry(countdown=data.get("countdown", 0), max_retries=data.get("max_retries", 1))
        case "retry over an error":
            try:
                return Path("/nowhere").read_text()
            except OSError as exc:
                raise self.retry(exc=exc, countdown=0, max_retries=1) from None
        case "retry without raising":
            if not request.retries:
                self.retry(countdown=0, throw=False)
        case "call":
            ordinary.delay(request.id, "called")
        case "chain":
            (ordinary.si(request.id, "first") | ordinary.si(request.id, "second")).apply_async()
        case "update state":
            self.update_state(state="HALF", meta={"done": 50})
        case "soft time limit":
            raise SoftTimeLimitExceeded
        case "sleep":
            time.sleep(data["seconds"])
    return None


def handler(event: str, name: str, **options: Any) -> None:
    def run(self: Any, data: Any, dispatch: Dispatch) -> Any:
        assert dispatch.event
        return act(self, data)

    run.__name__ = run.__qualname__ = name
    on(event, bind=True, **{"ignore_result": False, **options})(run)


handler("DO", "doing", throws=(LookupError,))
handler("EARLY", "early", acks_late=False)
handler("QUIET", "quiet", send_events=False)
handler("TRACKED", "tracked", track_started=True)
handler("IGNORED", "without_result", ignore_result=True)
handler("RATED", "rated", rate_limit="1000/s")
handler("LIMITED", "limited", time_limit=0.05, soft_time_limit=0.02)
handler("UNACKED", "unacked", acks_on_failure=False)
handler("AUTO", "auto", autoretry_for=(ValueError,), max_retries=1, retry_backoff=False, default_retry_delay=1)
for _number in range(3):
    handler("SEVERAL", f"several_{_number}")
handler("MIXED", "mixed_plain")
handler("MIXED", "mixed_rated", rate_limit="1000/s")
handler("ONE_FAILS", "fine")


@on("ONE_FAILS", bind=True, ignore_result=False)
def rejecting(self: Any, _data: Any, _dispatch: Dispatch) -> None:
    act(self, {"do": "reject"})


@app.task(bind=True, ignore_result=False)
def ordinary(_self: Any, caller: str, text: str) -> str:
    record_line({"ran": "ordinary", "id": caller, "text": text})
    return text


@app.task(name="gateway.PLAIN", bind=True, ignore_result=False, max_retries=1)
def plain(self: Any, data: Any) -> Any:
    return act(self, data)
