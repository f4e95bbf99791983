"""The road over the broker: everything of it that needs Celery, imported together and late."""

from celery import Celery

from gateway_service import amqps
from gateway_service.control.node_events import NodeEvents
from gateway_service.control.peers import BrokerPeers
from gateway_service.control.remote_control import RemoteControl
from gateway_service.unrouted import unrouted_now

__all__ = ["BrokerPeers", "NodeEvents", "RemoteControl", "carries_remote_control", "make_app", "unrouted_now"]


def make_app(broker_url: str) -> Celery:
    """Return an application without tasks, for its mailboxes and events alone."""
    amqps.install()
    app = Celery("gateway-control", broker=broker_url, set_as_current=False)
    app.conf.update(accept_content=["json"], task_serializer="json", event_serializer="json")
    return app


def carries_remote_control(app: Celery) -> bool:
    """Tell whether the transport can send one message to all nodes."""
    return bool(app.connection_for_read().supports_exchange_type("fanout"))
