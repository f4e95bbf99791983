"""A real ``celery -A gateway_service worker`` as a child process, and messages for it as the gateway sends them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import kombu

from gateway_service.contract import EVENTS_EXCHANGE, routing_key
from gateway_service.publisher.envelope import Envelope, Origin, headers_of
from tests.support.connection import connection_to
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
RECORD_VARIABLE = "TEST_RECORD_FILE"
CORPUS_VARIABLE = "TEST_CORPUS"
ODD_EVENT = "WEIRD NAME/../#*."
SESSION = "0123456789abcdef"
STOP_TIMEOUT_S = 60.0

_numbers = count(1)


class Worker:
    """One worker process, its log and the record that its tasks write."""

    _records: Sequence[dict[str, Any]] = ()
    _read_bytes = 0

    def __init__(
        self, url: str, directory: Path, tasks: str, *arguments: str, app: str = "gateway_service", **variables: str
    ) -> None:
        """Start it.

        Args:
            url: The broker.
            directory: Where log and record are written.
            tasks: Modules of handlers.
            *arguments: More of the command line.
            app: The Celery application.
            **variables: More of the environment.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.record = Path(variables.get(RECORD_VARIABLE, directory / "record.jsonl"))
        self._log = directory / "worker.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                celery_command("worker", "-l", "info", "--without-mingle", "--without-gossip", *arguments, app=app),
                env=worker_environment(url, tasks) | {RECORD_VARIABLE: str(self.record)} | variables,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        wait_until(lambda: " ready." in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log

    def records(self) -> Sequence[dict[str, Any]]:
        """Return every line that tasks have recorded so far."""
        with suppress(FileNotFoundError), self.record.open("rb") as record:
            record.seek(self._read_bytes)
            complete, line_end, _ = record.read().rpartition(b"\n")  # a worker may be in the middle of a long line
            self._records = [*self._records, *(json.loads(line) for line in complete.split(b"\n") if line)]
            self._read_bytes += len(complete + line_end)
        return self._records

    def runs(self, dispatch_id: str, handler: str | None = None) -> list[dict[str, Any]]:
        """Return what was recorded of a dispatch, run by run."""
        return [run for run in self.records() if run["dispatch"] == dispatch_id and handler in {None, run["handler"]}]

    def wait_for(self, dispatch_id: str, handler: str, times: int = 1) -> list[dict[str, Any]]:
        """Return the runs of one handler when there are enough of them."""
        wait_until(lambda: len(self.runs(dispatch_id, handler)) >= times)
        return self.runs(dispatch_id, handler)

    def kill(self) -> None:
        """End the worker and its pool as the OOM killer would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def running_worker(
    url: str, directory: Path, tasks: str, *arguments: str, app: str = "gateway_service", **variables: str
) -> Iterator[Worker]:
    worker = Worker(url, directory, tasks, *arguments, app=app, **variables)
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()  # a warm shutdown takes seconds, and is the subject of tests that call stop()


def celery_command(*arguments: str, app: str = "gateway_service") -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "celery", "-A", app, *arguments]


def worker_environment(url: str, tasks: str) -> dict[str, str]:
    ours = {"GATEWAY_BROKER_URL": url, "GATEWAY_TASKS": tasks}
    return {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "CELERY_"))} | ours


def publish(
    url: str,
    event: str,
    raw: bytes,
    *,
    body: bytes | None = None,
    content_type: str = "application/json",
    copies: int = 1,
    **headers: Any,
) -> str:
    """Publish one dispatch as the gateway does, and return its id.

    Args:
        url: The broker.
        event: Dispatch name.
        raw: JSON text of ``d``.
        body: Another body than ``raw`` makes.
        content_type: Of the body.
        copies: How often the same message is sent, as after an unconfirmed one.
        **headers: Other headers than those of a dispatch.
    """
    envelope = Envelope(
        event=event,
        seq=next(_numbers),
        session=SESSION,
        shard_id=1,
        num_shards=4,
        guild_id=2**63 - 1,
        received_at=1_700_000_000.25,
        kind="join" if event == "GUILD_CREATE" else None,
        raw=raw,
    )
    # A quorum queue may lose what was not confirmed when its channel closed.
    with connection_to(url, transport_options={"confirm_publish": True}) as connection:
        if url.startswith("redis"):
            # kombu's virtual transports keep an exchange's type in the process that declared it.
            kombu.Exchange(EVENTS_EXCHANGE, type="topic")(connection.default_channel).declare()
        for _ in range(copies):
            connection.Producer().publish(
                envelope.body if body is None else body,
                exchange=EVENTS_EXCHANGE,
                routing_key=routing_key(event, envelope.guild_id),
                content_type=content_type,
                content_encoding="utf-8",
                headers={**headers_of(envelope, Origin(bot_id="100")), **headers},
                correlation_id=envelope.task_id,
            )
    return envelope.task_id


def take(url: str, queue: str) -> Any:
    """Return the next message of a queue, as kombu knows it; None when it is empty."""
    with connection_to(url) as connection:
        message = connection.default_channel.basic_get(queue, no_ack=True)
        if message is None:
            return None
        return connection.default_channel.message_to_python(message) if url.startswith("amqp") else message
