"""Performing faults that strike at once, on whatever they are about."""

from gateway_service.simulator.faults import ConnectionFault, Fault, LoseIntents
from gateway_service.simulator.gateway import GatewayServer
from gateway_service.simulator.hub import Hub


class Striker:
    """Lets faults strike connections, sessions and the bot."""

    def __init__(self, hub: Hub, gateway: GatewayServer) -> None:
        self._hub = hub
        self._gateway = gateway

    def strike(self, fault: Fault, shard_id: int | None = None) -> int:
        """Let a fault strike now and return how many connections or sessions there were.

        Raises:
            ValueError: This fault strikes only at its own moment; it must be armed.
        """
        match fault:
            case LoseIntents(kept=kept, until_resume=until_resume):
                sessions = [each for each in self._hub.sessions if shard_id in (None, each.shard_id)]
                for session in sessions:
                    session.lose_intents(kept=kept, until_resume=until_resume)
                return len(sessions)
            case _ if isinstance(fault, ConnectionFault):
                return self._gateway.inject(fault, shard_id)
            case _:
                raise ValueError(f"{type(fault).__name__} strikes only at its own moment: arm it")
