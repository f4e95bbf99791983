"""``gateway-service dev``: the whole system in one terminal, on embedded parts, without a Discord token."""
