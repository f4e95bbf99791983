"""For the tests of your bot: realistic dispatches, and handlers that run without a broker."""

from gateway_service.testing.dispatches import dispatch_fixture
from gateway_service.testing.handlers import HandlerRun, run_handler

__all__ = ["HandlerRun", "dispatch_fixture", "run_handler"]
