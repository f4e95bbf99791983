"""Performing faults that strike at once, on whatever they are about."""

from typing import assert_never

import orjson

from gateway_service.protocol.constants import MIN_LARGE_THRESHOLD, CloseCode, shard_id_of
from gateway_service.simulator.faults import (
    BotFault,
    CloseWith,
    ConnectionFault,
    Dispatch,
    Fault,
    FlapGuilds,
    LoseIntents,
    Moment,
    MoveResumeUrl,
    RecommendShards,
    Repeat,
    ResetToken,
    SayNothing,
    SessionFault,
    SetMaxConcurrency,
    SetRemaining,
    SkipSeqs,
)
from gateway_service.simulator.gateway import GatewayServer
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.sessions import Session


class Striker:
    """Lets faults strike connections, sessions and the bot."""

    def __init__(self, hub: Hub, gateway: GatewayServer) -> None:
        self._hub = hub
        self._gateway = gateway

    def inject(self, fault: Fault, shard_id: int | None = None) -> int:
        """Let a fault strike now and return how many connections or sessions it struck.

        Raises:
            ValueError: This fault strikes only at a moment; it must be armed.
        """
        if isinstance(fault, SessionFault):
            sessions = [each for each in self._hub.sessions if shard_id in (None, each.shard_id)]
            for session in sessions:
                self._strike_session(fault, session)
            return len(sessions)
        if isinstance(fault, BotFault):
            return self._strike_bot(fault)
        if isinstance(fault, ConnectionFault) and not isinstance(fault, SayNothing):
            return self._gateway.inject(fault, shard_id)
        raise ValueError(f"{type(fault).__name__} strikes only at a moment: arm it")

    def arm(
        self,
        fault: Fault,
        moment: Moment,
        *,
        shard_id: int | None = None,
        host: str | None = None,
        times: int = 1,
        after: int = 1,
    ) -> None:
        """Let a fault strike at a coming moment; see :meth:`FaultPlan.arm`."""
        self._hub.faults.arm(fault, moment, shard_id=shard_id, host=host, times=times, after=after)

    def thaw(self, shard_id: int | None = None) -> None:
        """End the faults of connections that last."""
        for connection in self._gateway.connections(shard_id):
            connection.thaw()

    def _strike_session(self, fault: SessionFault, session: Session) -> None:
        now = self._hub.clock()
        match fault:
            case LoseIntents(kept=kept, until_resume=until_resume):
                session.lose_intents(kept=kept, until_resume=until_resume)
            case SkipSeqs(count=count):
                session.skip(count, now)
            case Repeat(count=count):
                session.repeat(count)
            case FlapGuilds(count=count):
                for _ in range(count):
                    self._flap(session, now)
            case Dispatch(event=event, text=text):
                session.append(event, text.encode("utf-8", "surrogatepass"), now)
            case _:
                assert_never(fault)

    def _strike_bot(self, fault: BotFault) -> int:
        hub = self._hub
        match fault:
            case MoveResumeUrl(url=url):
                hub.resume_url = url
            case SetRemaining(count=count):
                hub.budget.remaining = count
            case SetMaxConcurrency(count=count):
                hub.pacing.max_concurrency = count
            case RecommendShards(count=count):
                hub.recommended_shards = count
            case ResetToken(new_token=new_token):
                hub.reset_token(new_token)
                return self._gateway.inject(CloseWith(CloseCode.AUTHENTICATION_FAILED, "Authentication failed."))
            case _:
                assert_never(fault)
        return 0

    def _flap(self, session: Session, now: float) -> None:
        world = self._hub.world
        for guild_id in world.guild_ids:
            if shard_id_of(guild_id, session.num_shards) == session.shard_id:
                session.append("GUILD_DELETE", orjson.dumps({"id": str(guild_id), "unavailable": True}), now)
                guild = world.guild_create(guild_id, intents=session.intents, large_threshold=MIN_LARGE_THRESHOLD) | {
                    "unavailable": False
                }
                session.append("GUILD_CREATE", orjson.dumps(guild), now)
