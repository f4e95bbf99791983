"""The worker side: from task messages to handlers. Runs as ``celery -A gateway_service worker``."""

from gateway_service.worker.app import app, on
from gateway_service.worker.gateway import Gateway
from gateway_service.worker.handlers import HandlerTask
from gateway_service.worker.topology import event_queue

__all__ = ["Gateway", "HandlerTask", "app", "event_queue", "on"]
