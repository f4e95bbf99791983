"""Connections of tests to brokers that may be busy."""

from typing import Any

import kombu
from celery import Celery

# kombu gives a broker 5 s and Celery 4, which one that makes virtual hosts on a busy machine exceeds.
CONNECT_TIMEOUT_S = 120


def connection_to(url: str, **options: Any) -> kombu.Connection:
    """Return a connection that is patient where kombu's own is not."""
    return kombu.Connection(url, connect_timeout=CONNECT_TIMEOUT_S, **options)


def application_on(url: str) -> Celery:
    """Return an application that sends to the broker and is as patient."""
    return Celery("test", broker=url, changes={"broker_connection_timeout": CONNECT_TIMEOUT_S}, set_as_current=False)
