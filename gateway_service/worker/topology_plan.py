"""What a group needs at the broker, compared with what is there. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway_service.contract import (
    EVENTS_EXCHANGE,
    HOLDER_SUFFIX,
    LANES,
    binding_key,
    lane_workers_queue,
    lanes_exchange,
    queue_name,
)
from gateway_service.worker.subscription import Subscription


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """One binding between an exchange and what it delivers to."""

    source: str
    key: str
    destination: str
    """A queue; for the events of lanes, an exchange."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue at one moment."""

    messages: int
    """Ready to be given out; those that workers hold are not among them."""
    consumers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the broker has of one group."""

    queues: Mapping[str, QueueState]
    bindings: frozenset[Binding] | None
    """None when the broker does not tell: AMQP has no way to ask for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What the handlers of one group need."""

    queues: frozenset[str]
    bindings: frozenset[Binding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What has to change; all of it sorted."""

    missing_queues: tuple[str, ...]
    stale_queues: tuple[str, ...]
    missing_bindings: tuple[Binding, ...]
    stale_bindings: tuple[Binding, ...]

    def __bool__(self) -> bool:
        return bool(self.missing_queues or self.stale_queues or self.missing_bindings or self.stale_bindings)


def needed_by(subscription: Subscription) -> Needed:
    """Return the queues and bindings of a subscription."""
    queues = subscription.queues()
    bindings = {
        Binding(EVENTS_EXCHANGE, binding_key(token), name) for name, tokens in queues.items() for token in tokens
    }
    names = set(queues)
    if (plan := subscription.lane_plan()) is not None:
        exchange = lanes_exchange(plan.group, plan.lanes)
        bindings |= {Binding(EVENTS_EXCHANGE, binding_key(token), exchange) for token in plan.tokens}
        for name, lane in plan.names().items():
            names.add(name)
            bindings |= {Binding(exchange, f"*.{key:02d}", name) for key in range(lane, LANES, plan.lanes)}
    return Needed(queues=frozenset(names), bindings=frozenset(bindings))


def compare(group: str, needed: Needed, seen: Seen) -> Difference:
    """Return what is missing and what is stale of a group; queues of other groups are nobody's business here."""
    prefix = queue_name(group, "")
    ours = {name for name in seen.queues if name.startswith(prefix) and not _is_of_holders(group, name)}
    there = seen.bindings if seen.bindings is not None else needed.bindings
    stale = {
        binding
        for binding in there - needed.bindings
        if binding.destination.startswith(prefix) and binding.destination not in ours - needed.queues
    }
    return Difference(
        missing_queues=tuple(sorted(needed.queues - ours)),
        stale_queues=tuple(sorted(ours - needed.queues)),
        missing_bindings=tuple(sorted(needed.bindings - there)),
        stale_bindings=tuple(sorted(stale)),
    )


def _is_of_holders(group: str, name: str) -> bool:
    """Tell whether a queue only says which workers hold which lanes."""
    return name == lane_workers_queue(group) or name.endswith(HOLDER_SUFFIX)


def candidates(subscription: Subscription, known_tokens: Collection[str]) -> frozenset[str]:
    """Return every queue name that the group may have had, as far as names are known: to ask a broker for each."""
    routes = {route.queue for route in subscription.routes.table if route.queue is not None}
    return frozenset(queue_name(subscription.group, name) for name in {*known_tokens, *routes, *subscription.tokens})
