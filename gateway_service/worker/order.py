"""The order of a guild's dispatches inside one worker: one message at a time for each guild."""

import functools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway_service.contract import lane_of

Start = Callable[[], Any]
OnMessage = Callable[..., Any]

_ATTRIBUTE: Final = "gateway_order"


class GuildOrder:
    """Starts a message when the one before it of the same guild is settled. Used by the worker's loop alone.

    Dispatches without a guild count as those of one.
    """

    def __init__(self) -> None:
        self._waiting: dict[int | None, deque[Start]] = {}
        """By guild, for each that has a message under way."""

    def enter(self, guild_id: int | None, start: Start) -> None:
        """Start a message now, or after those of its guild that came before."""
        if guild_id in self._waiting:
            self._waiting[guild_id].append(start)
        else:
            self._waiting[guild_id] = deque()
            start()

    def leave(self, guild_id: int | None) -> None:
        """Note that the message under way is settled."""
        waiting = self._waiting.get(guild_id)
        if waiting is None:
            return  # it began before the connection was lost
        if waiting:
            waiting.popleft()()
        else:
            del self._waiting[guild_id]

    def is_busy(self, lane: int, lanes: int) -> bool:
        """Tell whether a message of one of ``lanes`` is under way."""
        return any(lane_of(guild_id) % lanes == lane for guild_id in self._waiting)

    def give_up_waiting(self, lane: int = 0, lanes: int = 1) -> None:
        """Forget the messages of a lane that wait: the broker gives them out again. Those under way go on."""
        for guild_id, waiting in self._waiting.items():
            if lane_of(guild_id) % lanes == lane:
                waiting.clear()

    def clear(self) -> None:
        """Forget everything: the connection is a new one, and the broker gives all of it out again."""
        self._waiting.clear()


def order_of(consumer: Any) -> GuildOrder:
    """Return the order of a worker, one for all of its events: it also holds between event types."""
    order: GuildOrder = consumer.__dict__.setdefault(_ATTRIBUTE, GuildOrder())
    return order


def in_guild_order(on_message: OnMessage, order: GuildOrder) -> OnMessage:
    """Return an ``on_message`` that hands a message on when its guild's earlier ones are settled."""

    def in_order(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        guild_id = guild_of(message.headers)

        def then_leave(settle: Callable[..., Any]) -> Callable[..., Any]:
            def settled(*arguments: Any) -> None:
                settle(*arguments)
                order.leave(guild_id)

            return settled

        start = functools.partial(on_message, message, body, then_leave(ack), then_leave(reject), callbacks)
        order.enter(guild_id, start)

    return in_order


def guild_of(headers: Mapping[str, Any]) -> int | None:
    """Return the guild in the headers of a message; None where there is none that can be read."""
    guild_id = headers.get("guild_id")
    try:
        return None if guild_id is None else int(guild_id)
    except (TypeError, ValueError):
        return None  # the handlers' strategy refuses it
