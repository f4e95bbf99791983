import pytest
from celery import Celery

from gateway_service.worker.gateway import Gateway


@pytest.fixture
def app():
    """An application of its own, with a broker in memory that nothing is sent to."""
    with Celery("test", broker="memory://", set_as_current=False) as app:
        yield app


@pytest.fixture
def gateway(app):
    return Gateway(app)
