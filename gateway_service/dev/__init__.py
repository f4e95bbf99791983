"""``gateway-service dev``: the whole system in one terminal, on embedded parts, without a Discord token."""

from gateway_service.dev.command import dev

__all__ = ["dev"]
