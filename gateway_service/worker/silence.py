"""Keeps a worker silent about remote control commands that are not for it."""

from typing import Any

from kombu.pidbox import Node


class QuietNode(Node):
    """Commands for gateways are broadcast to workers as well; Celery's node would answer each with an error."""

    def dispatch(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.handlers and method in self.handlers:
            return super().dispatch(method, *args, **kwargs)
        return None
