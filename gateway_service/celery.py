"""The Celery application of ``celery -A gateway_service worker``: its tasks are the handlers of ``GATEWAY_TASKS``."""

import sys

from gateway_service.worker import app

__all__ = ["app"]

# Importing a handler, as a test or another project does, must not replace that project's own current app;
# naming us with -A asks for it.
app.set_current()

# The registry needs the libraries of a supervisor, so that a worker does not load it.
if {"inspect", "control"} & set(sys.argv):
    from gateway_service.control import celery_commands

    celery_commands.install()

# Celery has imported the commands of others by now and runs ours afterwards.
if "flower" in sys.argv and "flower.command" in sys.modules:
    from gateway_service.flower.install import install

    install(sys.modules["flower.command"])
