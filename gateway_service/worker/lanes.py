"""The lane queues of a group's ordered events: how they are declared, and how workers share them.

Each lane queue has one active consumer. A worker holds a lane by consuming it on a channel of its own; to give a lane
up it lets what is under way end and closes the channel, so that the broker gives everything else to the next holder, in
its old order. What a worker may hold is decided anew every second, from what the broker says about queues and workers.
"""

import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from amqp.exceptions import ResourceLocked
from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state as worker_state
from celery.worker.consumer.tasks import Tasks
from kombu.entity import Exchange, Queue

from gateway_service.contract import (
    EVENT_QUEUE_ARGUMENTS,
    HOLDER_SUFFIX,
    LANES,
    binding_key,
    lane_queue_name,
    lane_workers_queue,
    lanes_exchange,
)
from gateway_service.topology import EVENTS
from gateway_service.worker.lane_shares import LaneState, share_out
from gateway_service.worker.order import GuildOrder, order_of
from gateway_service.worker.topology import RETRIES

LANE_PLAN: Final = "gateway_lanes"
"""Attribute of the Celery application of a worker: its :class:`LanePlan`, or None."""
DEFAULT_LANES: Final = 8
TICK_S: Final = 1.0
# Enough for the round trip to the broker; the more are out, the more another worker gets twice after a crash.
PREFETCH: Final = 32
# A drained queue of an older number of lanes has to be found empty so often before it is deleted: what the broker
# routed before its exchange went away arrives within milliseconds.
_EMPTY_TICKS: Final = 2

_log = get_logger(__name__)

LaneName = str


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What a worker must know about the ordered events of its group."""

    group: str
    tokens: tuple[str, ...]
    lanes: int
    chosen: frozenset[LaneName] | None = None
    """Queues that ``-Q`` names: the worker holds these and no others."""

    def names(self, lanes: int | None = None) -> dict[LaneName, int]:
        """Return the queue of each lane, and which lane it is."""
        count = self.lanes if lanes is None else lanes
        return {lane_queue_name(self.group, lane, count): lane for lane in range(count)}

    def older(self) -> dict[LaneName, tuple[int, int]]:
        """Return the queues that other numbers of lanes have, with lane and number."""
        counts = [2**exponent for exponent in range(LANES.bit_length()) if 2**exponent != self.lanes]
        return {name: (lane, count) for count in counts for name, lane in self.names(count).items()}


def lane_queue(name: LaneName) -> Queue:
    """Return a lane queue: dispatches come through the group's exchange, retries of its handlers by its name."""
    arguments = {**EVENT_QUEUE_ARGUMENTS, "x-single-active-consumer": True}
    return Queue(name, RETRIES, routing_key=name, durable=True, queue_arguments=arguments)


def declare_lanes(plan: LanePlan, channel: Any) -> None:
    """Declare and bind everything of the present number of lanes; the events last, so that none is lost."""
    exchange = Exchange(lanes_exchange(plan.group, plan.lanes), type="topic", durable=True)(channel)
    exchange.declare()
    for name, lane in plan.names().items():
        queue = lane_queue(name)(channel)
        queue.declare()
        for key in range(lane, LANES, plan.lanes):
            queue.bind_to(exchange, routing_key=f"*.{key:02d}")
    EVENTS(channel).declare()
    for token in plan.tokens:
        exchange.bind_to(EVENTS, routing_key=binding_key(token))


class HeldLane:
    """One lane queue while this worker consumes it."""

    def __init__(self, connection: Any, name: LaneName, handle: Callable[[Any], Any]) -> None:
        """Take a lane.

        Raises:
            ResourceLocked: Another worker has just taken it.
        """
        self.is_leaving = False
        self._connection = connection
        self._handle = handle
        self._lock = name + HOLDER_SUFFIX
        self._channel = connection.channel()
        # An exclusive queue belongs to one connection and goes with it: whoever declares it holds the lane. That a
        # single active consumer has others waiting behind it, a broker does not tell.
        self._channel.queue_declare(self._lock, exclusive=True, auto_delete=False)
        self._channel.basic_qos(0, PREFETCH, False)
        connection.Consumer([Queue(name, no_declare=True)], self._channel, on_message=self._received).consume()

    def _received(self, message: Any) -> None:
        if not self.is_leaving:  # else the broker gives it to the next holder
            self._handle(message)

    def close(self) -> None:
        """Give back everything that is not acknowledged, in its order."""
        self._channel.close()
        with self._connection.channel() as channel:
            channel.queue_delete(self._lock)


class Lanes(bootsteps.StartStopStep):
    """Holds this worker's share of the lanes, from after the other queues are consumed until before they are left."""

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._plan: LanePlan | None = getattr(consumer.app, LANE_PLAN, None)
        self._timer: Any = None
        super().__init__(consumer, **options)

    def include_if(self, consumer: Any) -> bool:  # noqa: ARG002 - Celery's signature
        return self._plan is not None

    def start(self, consumer: Any) -> None:
        assert self._plan is not None
        order_of(consumer).clear()
        self._holder = LaneHolder(consumer, self._plan)
        self._holder.open()
        self._timer = consumer.timer.call_repeatedly(TICK_S, partial(self._tick, consumer))

    def stop(self, consumer: Any) -> None:
        self._cancel_timer()
        if consumer.connection is not None and consumer.connection.connected:
            self._holder.leave_all()
            loop = consumer.hub.create_loop() if consumer.hub is not None else iter(())
            while self._holder.is_busy and not worker_state.should_terminate:
                next(loop)
            self._holder.close_left()

    def _tick(self, consumer: Any) -> None:
        try:
            self._holder.tick()
        except consumer.connection_errors as exc:
            # The worker finds that out itself and connects again.
            self._cancel_timer()
            _log.warning("The lanes are left because the connection is lost: %s", exc)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LaneHolder:
    """The lanes that one worker holds on one connection."""

    def __init__(self, consumer: Any, plan: LanePlan) -> None:
        self._connection = consumer.connection
        self._order: GuildOrder = order_of(consumer)
        self._plan = plan
        self._handle = consumer.create_task_handler()
        self._held: dict[LaneName, HeldLane] = {}
        self._places: dict[LaneName, tuple[int, int]] = {
            name: (lane, plan.lanes) for name, lane in plan.names().items()
        }
        """Lane and number of lanes of every queue that we know."""
        self._older: dict[LaneName, int] = {}
        """Queues of another number of lanes, and how often they were found drained; they go first."""

    def open(self) -> None:
        """Declare the lanes, say that we are here, and look for lanes of another number."""
        channel = self._connection.channel()
        declare_lanes(self._plan, channel)
        presence = Queue(lane_workers_queue(self._plan.group), durable=True, auto_delete=True)
        self._connection.Consumer([presence], channel, on_message=lambda message: message.ack()).consume()
        older = self._plan.older()
        for count in sorted({count for _, count in older.values()}):
            # What is bound to it ends in the lanes of the present number only; its queues are drained.
            Exchange(lanes_exchange(self._plan.group, count), channel=self._connection.channel()).delete()
        self._older = dict.fromkeys((name for name in older if self._look_at(name) is not None), 0)
        self._places.update((name, older[name]) for name in self._older)
        if self._older:
            _log.warning("The number of lanes has changed; %d queues are drained first", len(self._older))
        self.tick()

    @property
    def is_busy(self) -> bool:
        """Tell whether a message of some held lane is under way."""
        return any(self._is_busy(name) for name in self._held)

    def tick(self) -> None:
        """Give up what we agreed to give up, look at all lanes, take and leave."""
        self.close_left()
        states = self._look_at_all()
        for name in self._older:
            if self._is_drained(name, states[name]):
                self._delete(name)
                del states[name]
        self._older = {name: ticks for name, ticks in self._older.items() if name in states}
        if not states:
            return  # the older ones are gone just now; the next tick takes the new ones
        if self._plan.chosen is not None and not self._older:
            take: tuple[LaneName, ...] = tuple(self._plan.chosen - self._held.keys())
        else:
            moves = share_out(self._held, states, self._count_workers(), random.random())  # noqa: S311
            take = moves.take
            for name in moves.leave:
                self._leave(name)
        before = set(self._held)
        for name in take:
            with contextlib.suppress(ResourceLocked):
                self._held[name] = HeldLane(self._connection, name, self._handle)
        if self._held.keys() != before:
            _log.info("This worker now handles %s", ", ".join(sorted(self._held)))

    def leave_all(self) -> None:
        """Start no further message; what is under way ends."""
        for name in self._held:
            self._leave(name)

    def close_left(self) -> None:
        """Close the lanes that were left and have nothing under way."""
        for name in [name for name, lane in self._held.items() if lane.is_leaving and not self._is_busy(name)]:
            self._held.pop(name).close()

    def _leave(self, name: LaneName) -> None:
        self._held[name].is_leaving = True
        self._order.give_up_waiting(*self._places[name])

    def _is_busy(self, name: LaneName) -> bool:
        return self._order.is_busy(*self._places[name])

    def _look_at_all(self) -> dict[LaneName, LaneState]:
        """Return the lanes to share now: those of an older number as long as there are any."""
        seen: Mapping[LaneName, LaneState | None] = {name: self._look_at(name) for name in self._older}
        older = {name: state for name, state in seen.items() if state is not None}
        for name in seen.keys() - older.keys():
            self._forget(name)
        self._older = {name: ticks for name, ticks in self._older.items() if name in older}
        if older:
            return older
        states = {name: self._look_at(name) for name in self._plan.names()}
        return {name: state for name, state in states.items() if state is not None}

    def _look_at(self, name: LaneName) -> LaneState | None:
        channel = self._connection.channel()
        try:
            found = channel.queue_declare(name, passive=True)
        except self._connection.channel_errors:
            return None
        channel.close()
        return LaneState(consumers=found.consumer_count, ready=found.message_count)

    def _is_drained(self, name: LaneName, state: LaneState) -> bool:
        """Tell whether nobody has a message of an older queue any more."""
        is_ours_alone = name in self._held and state.consumers == 1 and not self._is_busy(name)
        if state.ready or not (is_ours_alone or state.consumers == 0):
            self._older[name] = 0
            return False
        self._older[name] += 1
        return self._older[name] > _EMPTY_TICKS

    def _delete(self, name: LaneName) -> None:
        self._forget(name)
        with self._connection.channel() as channel:
            channel.queue_delete(name)
        _log.info("The queue %s is drained and deleted", name)

    def _forget(self, name: LaneName) -> None:
        if (lane := self._held.pop(name, None)) is not None:
            lane.close()

    def _count_workers(self) -> int:
        state = self._look_at(lane_workers_queue(self._plan.group))
        return state.consumers if state is not None else 1
