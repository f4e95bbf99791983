"""The command line. Nothing here is imported by the rest of the package."""

from gateway_service.cli.main import main

__all__ = ["main"]
