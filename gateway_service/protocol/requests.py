"""A request to Discord whose answer comes as dispatches: which belong to it, when it is complete, when it goes again.

Pure: times are monotonic seconds and come in as arguments. See protocol §11, S7 to S10.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final

from gateway_service.protocol.constants import Opcode

RATE_LIMITED: Final = "RATE_LIMITED"
ANSWER_EVENTS: Final[Mapping[int, str]] = {
    Opcode.REQUEST_GUILD_MEMBERS: "GUILD_MEMBERS_CHUNK",
    Opcode.REQUEST_SOUNDBOARD_SOUNDS: "SOUNDBOARD_SOUNDS",
    Opcode.REQUEST_CHANNEL_INFO: "CHANNEL_INFO",
}
"""What Discord answers each of these opcodes with."""

# A connection that ends while chunks arrive loses those on their way for good, and nothing says so (S9). Chunks follow
# each other within a fraction of a second, so this long a silence means that no further one comes.
SILENCE_S: Final = 5.0


class Gathering:
    """One request, from sending it until its answer is complete."""

    def __init__(self, op: int, data: Mapping[str, Any], nonce: str, now: float) -> None:
        """Begin; the request is due to be sent at once.

        Args:
            op: 8, 31 or 43.
            data: ``d`` of the request.
            nonce: At most 32 bytes; only op 8 carries it.
            now: This moment.
        """
        self.op = op
        self.data: dict[str, Any] = dict(data)
        if op == Opcode.REQUEST_GUILD_MEMBERS:
            self.data["nonce"] = nonce
        self.deadlines: dict[int, float] = {}
        """Until when each of those waits that want the answer, by the id of the command."""
        self.retry_after_s: float | None = None
        """As long as Discord wants us to wait: how long from the moment it said so."""
        self._nonce = nonce
        self._guild_id = str(data["guild_ids"][0] if "guild_ids" in data else data["guild_id"])
        self._send_at = now
        self._parts: dict[int, Mapping[str, Any]] = {}
        self._count = 1

    @property
    def events(self) -> frozenset[str]:
        """The dispatches that this request has to see."""
        return frozenset({ANSWER_EVENTS[self.op], RATE_LIMITED})

    @property
    def is_complete(self) -> bool:
        return len(self._parts) >= self._count

    @property
    def parts(self) -> Sequence[Mapping[str, Any]]:
        """The ``d`` of each dispatch of the answer, in Discord's order."""
        return [self._parts[index] for index in sorted(self._parts)]

    @property
    def next_deadline(self) -> float:
        """When :meth:`is_due` becomes true or :meth:`take_expired` returns somebody."""
        return min((self._send_at, *self.deadlines.values()))

    def wait(self, command_id: int, timeout_s: float, now: float) -> None:
        """Somebody wants the answer, and waits so long."""
        self.deadlines[command_id] = now + timeout_s

    def take_expired(self, now: float) -> list[int]:
        """Forget those who have waited long enough; return their ids."""
        expired = [command_id for command_id, deadline in self.deadlines.items() if now >= deadline]
        for command_id in expired:
            del self.deadlines[command_id]
        return expired

    def is_due(self, now: float) -> bool:
        """Tell whether the request has to be sent, for the first time or again."""
        return now >= self._send_at

    def sent(self, now: float) -> None:
        """The request went out: what came in answer to an earlier one is void, for chunks may be missing of it."""
        self._parts.clear()
        self._count = 1
        self.retry_after_s = None
        # The others answer with one dispatch or, for a guild they do not know, with none: asking again is no use.
        self._send_at = now + SILENCE_S if self.op == Opcode.REQUEST_GUILD_MEMBERS else inf

    def receive(self, event: str, data: Any, now: float) -> bool:
        """Take one dispatch; True when it belongs to this request."""
        if not isinstance(data, Mapping):
            return False
        if event == RATE_LIMITED:
            return self._receive_limit(data, now)
        if event != ANSWER_EVENTS[self.op] or str(data.get("guild_id")) != self._guild_id:
            return False
        index, count = 0, 1
        if self.op == Opcode.REQUEST_GUILD_MEMBERS:
            if data.get("nonce") != self._nonce:
                return False
            index, count = data.get("chunk_index", 0), data.get("chunk_count", 1)
            if type(index) is not int or type(count) is not int or not 0 <= index < count:
                return False
            self._send_at = now + SILENCE_S
        self._count = count
        self._parts[index] = data
        return True

    def _receive_limit(self, data: Mapping[str, Any], now: float) -> bool:
        meta, retry_after_s = data.get("meta"), data.get("retry_after")
        if data.get("opcode") != self.op or not isinstance(meta, Mapping) or not isinstance(retry_after_s, int | float):
            return False
        if str(meta.get("guild_id")) != self._guild_id or meta.get("nonce", self._nonce) != self._nonce:
            return False
        self.retry_after_s = max(0.0, float(retry_after_s))
        self._send_at = now + self.retry_after_s
        return True
