"""What a broker has of a group, and the changing of it: queues, bindings, and what nobody subscribed to.

AMQP can create, delete and count, but not list. On RabbitMQ the list comes from the management plugin where its URL is
given; otherwise every name that the group may have had is asked for, and bindings stay unknown.
"""

import base64
import contextlib
import json
import urllib.request
from collections.abc import Collection, Mapping
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit, urlunsplit

import kombu.exceptions

from gateway_service.contract import EVENTS_EXCHANGE, binding_key, lanes_exchange, queue_name
from gateway_service.errors import BrokerUnavailable
from gateway_service.topology import EVENTS
from gateway_service.unrouted import count_unrouted
from gateway_service.worker.capabilities import has_quorum_queues
from gateway_service.worker.lanes import declare_lanes
from gateway_service.worker.subscription import Subscription
from gateway_service.worker.topology import RETRIES, queue_of_tokens
from gateway_service.worker.topology_plan import Binding, Difference, QueueState, Seen, candidates

_MANAGEMENT_TIMEOUT_S: Final = 10.0


class BrokerView:
    """The broker of one Celery application, as far as one group is concerned; a context manager."""

    def __init__(self, app: Any, subscription: Subscription, management_url: str | None = None) -> None:
        """Prepare a view.

        Args:
            app: The Celery application.
            subscription: What the group's handlers need.
            management_url: The management API of RabbitMQ, ``http://user:password@host:15672``.
        """
        self._connection: Any = app.connection_for_write()
        self.subscription = subscription
        self._management_url = management_url
        self._is_rabbitmq = has_quorum_queues(self._connection)

    def __enter__(self) -> Self:
        with self._errors_mapped():
            self._connection.ensure_connection(max_retries=1)
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(Exception):
            self._connection.release()

    def see(self, known_tokens: Collection[str]) -> Seen:
        """Return what is there of the group.

        Args:
            known_tokens: Event tokens that handlers may have been for once; needed where a broker lists nothing.

        Raises:
            BrokerUnavailable: Broker or management API do not answer.
        """
        with self._errors_mapped():
            if not self._is_rabbitmq:
                return self._see_table()
            if self._management_url is not None:
                return self._see_management(self._management_url)
            names = candidates(self.subscription, known_tokens) | self._every_lane()
            found = {name: state for name in sorted(names) if (state := self._state_of(name)) is not None}
            return Seen(queues=found, bindings=None)

    def apply(self) -> None:
        """Declare what the handlers need, as a worker does when it starts.

        Raises:
            BrokerUnavailable: The broker does not answer, or has a queue with other arguments.
        """
        with self._errors_mapped(), self._connection.channel() as channel:
            RETRIES(channel).declare()
            for name, tokens in self.subscription.queues().items():
                queue_of_tokens(name, tokens, quorum=self._is_rabbitmq)(channel).declare()
            if (plan := self.subscription.lane_plan()) is not None:
                declare_lanes(plan, channel)

    def prune(self, difference: Difference, known_tokens: Collection[str]) -> None:
        """Take away what is stale; whoever calls this has made sure that nothing in it is needed.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        with self._errors_mapped():
            stale = set(difference.stale_bindings)
            if self._is_rabbitmq and self._management_url is None:
                stale |= self._bindings_not_needed(known_tokens)
            for binding in sorted(stale):
                self._unbind(binding)
            for name in difference.stale_queues:
                self._delete(name)

    def unrouted(self) -> Mapping[str, int]:
        """Return how many messages of each dispatch name nobody subscribed to; see :func:`count_unrouted`.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        with self._errors_mapped():
            return count_unrouted(self._connection)

    def _see_table(self) -> Seen:
        """Read kombu's table of bindings, which brokers without exchanges have."""
        channel = self._connection.default_channel
        EVENTS(channel).declare()
        rows = {(row[0], row[-1]) for row in channel.get_table(EVENTS_EXCHANGE) if self._is_ours(row[-1])}
        states = {name: self._state_of(name) or QueueState(0, 0) for _, name in rows}
        return Seen(queues=states, bindings=frozenset(Binding(EVENTS_EXCHANGE, key, name) for key, name in rows))

    def _see_management(self, url: str) -> Seen:
        vhost = quote(self._connection.virtual_host or "/", safe="")
        queues = {
            row["name"]: QueueState(messages=row.get("messages", 0), consumers=row.get("consumers", 0))
            for row in _management(url, f"queues/{vhost}")
            if self._is_ours(row["name"])
        }
        bindings = frozenset(
            Binding(row["source"], row["routing_key"], row["destination"])
            for row in _management(url, f"bindings/{vhost}")
            if row["source"] == EVENTS_EXCHANGE or self._is_ours(row["source"])
        )
        return Seen(queues=queues, bindings=bindings)

    def _state_of(self, name: str) -> QueueState | None:
        channel = self._connection.channel()
        try:
            found = channel.queue_declare(name, passive=True)
        except self._connection.channel_errors:
            return None
        channel.close()
        return QueueState(messages=found.message_count, consumers=found.consumer_count)

    def _every_lane(self) -> set[str]:
        plan = self.subscription.lane_plan()
        return {*plan.names(), *plan.older()} if plan is not None else set()

    def _bindings_not_needed(self, known_tokens: Collection[str]) -> set[Binding]:
        """Return every binding of a known event to a queue of ours that its handlers do not ask for."""
        bindings = set()
        for name, tokens in self.subscription.queues().items():
            bindings |= {Binding(EVENTS_EXCHANGE, binding_key(token), name) for token in {*known_tokens} - {*tokens}}
        if (plan := self.subscription.lane_plan()) is not None:
            exchange = lanes_exchange(plan.group, plan.lanes)
            others = {*known_tokens} - {*plan.tokens}
            bindings |= {Binding(EVENTS_EXCHANGE, binding_key(token), exchange) for token in others}
        return bindings

    def _unbind(self, binding: Binding) -> None:
        channel = self._connection.default_channel
        if not self._is_rabbitmq:
            member = channel.sep.join([binding.key, "", binding.destination])
            for row in channel.get_table(binding.source):
                if (row[0], row[-1]) == (binding.key, binding.destination):
                    member = channel.sep.join(row)
            channel.client.srem(channel.keyprefix_queue % binding.source, member)
            return
        with self._connection.channel() as own:
            if binding.destination.startswith(queue_name(self.subscription.group, "lanes-of-")):
                own.exchange_unbind(binding.destination, binding.source, binding.key)
            else:
                own.queue_unbind(binding.destination, binding.source, binding.key)

    def _delete(self, name: str) -> None:
        if self._is_rabbitmq:
            with self._connection.channel() as channel:
                channel.queue_delete(name)
            return
        channel = self._connection.default_channel
        for row in channel.get_table(EVENTS_EXCHANGE):
            if row[-1] == name:
                self._unbind(Binding(EVENTS_EXCHANGE, row[0], name))
        channel.client.delete(name)

    def _is_ours(self, name: str) -> bool:
        return name.startswith(queue_name(self.subscription.group, ""))

    @contextlib.contextmanager
    def _errors_mapped(self) -> Any:
        try:
            yield
        except (
            *self._connection.connection_errors,
            *self._connection.channel_errors,
            kombu.exceptions.OperationalError,
        ) as exc:
            raise BrokerUnavailable(self._connection.as_uri(), str(exc)) from exc


def _management(url: str, path: str) -> Any:
    """Return one answer of RabbitMQ's management API. See RabbitMQ: HTTP API reference.

    Raises:
        BrokerUnavailable: It does not answer, or not to this user.
    """
    parts = urlsplit(url)
    where = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(f"{where.rstrip('/')}/api/{path}")  # noqa: S310 - the scheme is checked
    if parts.username is not None:
        credentials = base64.b64encode(f"{parts.username}:{parts.password or ''}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    try:
        with urllib.request.urlopen(request, timeout=_MANAGEMENT_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return json.load(answer)
    except (OSError, ValueError) as exc:
        raise BrokerUnavailable(where, f"the management API: {exc}") from exc
