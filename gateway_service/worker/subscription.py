"""What one group subscribes to: which queue has which events."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway_service.contract import queue_name
from gateway_service.errors import ConfigurationError
from gateway_service.settings.routes import Routes, lanes_of_group
from gateway_service.settings.values import BadValue
from gateway_service.worker.lanes import DEFAULT_LANES, LanePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The events of one group, by event token, and the routes they take."""

    group: str
    tokens: frozenset[str]
    """Events that something handles."""
    ordered: frozenset[str]
    """Those of them that are handled in the order of each guild."""
    routes: Routes

    def queue_of(self, token: str) -> str:
        """Return the queue that has an event which is not ordered."""
        return queue_name(self.group, self.routes.of(token).queue or token)

    def queues(self) -> Mapping[str, tuple[str, ...]]:
        """Return the queues of events that are not ordered, and the tokens that each collects."""
        queues: dict[str, tuple[str, ...]] = {}
        for token in sorted(self.tokens - self.ordered):
            name = self.queue_of(token)
            queues[name] = (*queues.get(name, ()), token)
        return queues

    def lane_plan(self, wanted: Collection[str] | None = None, excluded: Collection[str] = ()) -> LanePlan | None:
        """Return how the ordered events are divided; None when there are none, or none of their queues is wanted.

        Args:
            wanted: Queues that the worker is told to consume; None for all.
            excluded: Queues that it is told to leave out.

        Raises:
            ConfigurationError: Two routes give the group different numbers of lanes.
        """
        if not self.ordered:
            return None
        try:
            lanes = lanes_of_group(self.routes, self.ordered, DEFAULT_LANES)
        except BadValue as exc:
            raise ConfigurationError(f"routes: {exc}") from None
        plan = LanePlan(group=self.group, tokens=tuple(sorted(self.ordered)), lanes=lanes)
        names = frozenset(plan.names())
        chosen = frozenset(name for name in names if (wanted is None or name in wanted) and name not in excluded)
        if not chosen:
            return None
        if chosen == names:
            return plan
        return LanePlan(group=plan.group, tokens=plan.tokens, lanes=lanes, chosen=chosen)
