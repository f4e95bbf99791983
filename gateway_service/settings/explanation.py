"""Why a dispatch goes where it goes: the decision of the routes about one dispatch, step by step."""

from dataclasses import dataclass
from typing import Literal

from gateway_service.contract import event_token, lane_of, routing_key
from gateway_service.settings.routes import Routes

Outcome = Literal["published", "dropped", "sampled out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What becomes of one dispatch, and by which patterns."""

    event: str
    seq: int | None
    guild_id: int | None
    pattern: str | None
    """The pattern that decided; None when none matches."""
    also_matching: tuple[str, ...]
    """Less specific patterns, which have no say."""
    outcome: Outcome | None
    """None when it depends on a sequence number that was not given."""
    sample: float
    """The fraction of such dispatches that is published."""
    routing_key: str
    """With which it goes to the exchange ``gateway.events``, if it does."""
    route: str
    """Each group with a handler for it has it in the queue ``<group>.<route>``."""
    ttl_s: float | None
    lane: str | None
    """Where a group with an ordered handler for it has it instead: ``<group>.<lane>``; None when no route says it."""


def explain(routes: Routes, event: str, *, seq: int | None = None, guild_id: int | None = None) -> Explanation:
    """Say what the routes decide about a dispatch.

    Args:
        routes: The table.
        event: Dispatch name.
        seq: Discord's ``s``; a sample depends on it.
        guild_id: The guild it belongs to.
    """
    route = routes.of(event)
    return Explanation(
        event=event,
        seq=seq,
        guild_id=guild_id,
        pattern=route.pattern,
        also_matching=tuple(str(other.pattern) for other in routes.matching(event)[1:]),
        outcome=_outcome(routes, event, seq),
        sample=route.kept,
        routing_key=routing_key(event, guild_id),
        route=route.queue or event_token(event),
        ttl_s=route.ttl_s,
        lane=None if route.lanes is None else f"lane-{lane_of(guild_id) % route.lanes}-of-{route.lanes}",
    )


def _outcome(routes: Routes, event: str, seq: int | None) -> Outcome | None:
    route = routes.of(event)
    if route.drop:
        return "dropped"
    if route.kept >= 1.0:
        return "published"
    if seq is None:
        return None
    return "published" if routes.admits(event, seq) else "sampled out"
