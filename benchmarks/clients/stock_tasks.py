"""An unmodified Celery application with one plain, empty task for each MESSAGE_CREATE, and the settings of ours.

Its settings come from us, so that both sides have late acks, task events and prefetch alike; its strategy, request,
tracer and connection are Celery's own.
"""

import os
from typing import Any

from celery import Celery
from kombu.entity import Queue

from gateway_service.contract import EVENT_QUEUE_ARGUMENTS
from gateway_service.topology import EVENTS
from gateway_service.worker.configuration import celery_settings

app = Celery("stock")
app.conf.update({**celery_settings(os.environ), "accept_content": ["json"], "include": []})
app.conf.task_queues = [
    Queue("stock.MESSAGE_CREATE", EVENTS, routing_key="MESSAGE_CREATE.*", queue_arguments=dict(EVENT_QUEUE_ARGUMENTS))
]


@app.task(name="gateway.MESSAGE_CREATE")
def nothing(message: dict[str, Any]) -> None:
    """Do what costs nothing, so that everything measured is the worker's own work."""
