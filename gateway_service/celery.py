"""The Celery application of ``celery -A gateway_service worker``: its tasks are the handlers of ``GATEWAY_TASKS``."""

from gateway_service.worker import app

__all__ = ["app"]

# Importing a handler, as a test or another project does, must not replace that project's own current app;
# naming us with -A asks for it.
app.set_current()
