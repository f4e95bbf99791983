"""A Celery worker that knows nothing of us runs our messages."""

from collections import deque
from contextlib import closing
from typing import Any

from celery import Celery
from celery.contrib.testing.worker import start_worker
from kombu import Exchange, Queue

from gateway_service.contract import EVENTS_EXCHANGE, EVENTS_EXCHANGE_ARGUMENTS, Dispatch
from gateway_service.publisher import Outbox
from tests.support.publishing import KombuSubject, make_envelope, publishing
from tests.support.waiting import wait_until


def test_a_plain_task_with_the_name_of_the_event_gets_payload_and_headers(server: KombuSubject) -> None:
    ran: deque[tuple[Any, Dispatch, str]] = deque()
    app = Celery("stranger", broker=server.url, backend="cache+memory://", set_as_current=False)
    events = Exchange(EVENTS_EXCHANGE, type="topic", durable=True, arguments=dict(EVENTS_EXCHANGE_ARGUMENTS))
    app.conf.task_queues = [Queue("stranger.messages", events, routing_key="MESSAGE_CREATE.*")]
    app.conf.task_default_queue = "stranger.messages"
    app.conf.broker_connection_retry_on_startup = True
    app.conf.worker_hijack_root_logger = False
    app.conf.broker_heartbeat = 2  # it looks whether it shall stop whenever a heartbeat may be due

    @app.task(name="gateway.MESSAGE_CREATE", bind=True, shared=False)
    def on_message(self: Any, message: Any) -> None:
        ran.append((message, Dispatch.from_headers(self.request.headers), self.request.id))

    with closing(server.make_link()) as link:
        link.connect()
    outbox = Outbox()
    with (
        start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20.0),
        publishing(server.make_link, outbox),
    ):
        for seq in range(1, 51):
            outbox.put(make_envelope(seq, raw=b'{"content":"n%d"}' % seq))
        wait_until(lambda: len(ran) == 50)

    assert [message for message, _, _ in ran] == [{"content": f"n{seq}"} for seq in range(1, 51)]
    assert [dispatch.id for _, dispatch, _ in ran] == [task_id for _, _, task_id in ran]
    assert {dispatch.event for _, dispatch, _ in ran} == {"MESSAGE_CREATE"}
