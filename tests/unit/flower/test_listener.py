"""Hearing events: the connection lives on however many come."""

import pytest
from celery import Celery
from kombu import Connection

from gateway_service.flower.listener import Listener


class Ended(BaseException):
    """The test has seen enough."""


class BusyConnection(Connection):
    """There is always one more event."""

    events = 0
    checks = 0

    def drain_events(self, **_):
        type(self).events += 1
        if self.events > 10:
            raise Ended

    def heartbeat_check(self, rate=2):  # noqa: ARG002 - as kombu calls it
        type(self).checks += 1


class BusyApp(Celery):
    def connection_for_read(self, *_, **__):
        return BusyConnection("memory://")


def test_heartbeats_go_on_while_there_is_always_one_more_event():
    with pytest.raises(Ended):
        Listener(BusyApp(set_as_current=False), lambda _event: None).run()

    assert BusyConnection.checks == 10
