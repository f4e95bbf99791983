"""The Celery application of the default group, and how it loads the modules of ``GATEWAY_TASKS``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import click
from celery import Celery
from celery.loaders.app import AppLoader
from celery.signals import worker_ready
from celery.utils.imports import cwd_in_path

from gateway_service.errors import ConfigurationError
from gateway_service.worker import serialization
from gateway_service.worker.ages import ages_of
from gateway_service.worker.configuration import celery_settings
from gateway_service.worker.exposition import METRICS_ADDRESS_KEY, serve
from gateway_service.worker.gateway import Gateway
from gateway_service.worker.lateness import lateness_of
from gateway_service.worker.modules import import_tree


class StartRefused(ConfigurationError, click.ClickException):
    """Configuration that no worker can run with; Celery's command line shows it as one line without traceback."""

    def format_message(self) -> str:
        return str(self)


@contextmanager
def _shown_as_one_line() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as exc:
        raise StartRefused(str(exc)) from exc


class TaskModulesLoader(AppLoader):
    """Imports whole packages, and says in one line what is wrong with one."""

    def import_task_module(self, module: str) -> ModuleType:
        self.task_modules.add(module)
        with cwd_in_path(), _shown_as_one_line():
            return import_tree(module)[0]


def _settings() -> dict[str, Any]:
    with _shown_as_one_line():
        return celery_settings(os.environ)


serialization.register()
app = Celery("gateway_service", loader=TaskModulesLoader, set_as_current=False)
app.add_defaults(_settings)
gateway = Gateway(app, configure=False)
on = gateway.on


@worker_ready.connect(weak=False)
def _serve_metrics(sender: Any, **_signal: Any) -> None:
    """Begin when the pool has its processes: they shall not begin their lives with this thread's locks."""
    if sender.app is app and (address := app.conf.get(METRICS_ADDRESS_KEY)):
        serve(address.host, address.port, ages_of(app), lateness_of(app))
