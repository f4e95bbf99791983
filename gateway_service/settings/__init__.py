"""Settings: read once, whole, frozen; every fault is reported together and names the place it came from."""

from gateway_service.settings.options import GatewayOptions, WorkerOptions
from gateway_service.settings.sources import load_options, load_worker_options
from gateway_service.settings.table import SETTINGS, Setting
from gateway_service.settings.urls import SecretUrl

__all__ = [
    "SETTINGS",
    "GatewayOptions",
    "SecretUrl",
    "Setting",
    "WorkerOptions",
    "load_options",
    "load_worker_options",
]
