"""Settings: read once, whole, frozen; every fault is reported together and names the place it came from."""

from gateway_service.settings.options import ControlOptions, GatewayOptions, WorkerOptions
from gateway_service.settings.routes import Route, Routes
from gateway_service.settings.sources import load_control_options, load_options, load_worker_options
from gateway_service.settings.table import SETTINGS, Setting
from gateway_service.settings.urls import Address, SecretUrl

__all__ = [
    "SETTINGS",
    "Address",
    "ControlOptions",
    "GatewayOptions",
    "Route",
    "Routes",
    "SecretUrl",
    "Setting",
    "WorkerOptions",
    "load_control_options",
    "load_options",
    "load_worker_options",
]
