"""The commands that operators and tasks send through one shard, and Discord's answers to them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any, Final

import orjson

from gateway_service.errors import CommandQueueFull, LocalProtocolError, PayloadTooLong, ShardEnding
from gateway_service.ipc.messages import Command, CommandDone
from gateway_service.protocol.requests import Gathering

# An answer travels through the supervisor as one message; the dispatches themselves are tasks in any case.
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
# Discord's have six. The supervisor reads no message of two hundred: it would take this process for a broken one.
MAX_ANSWER_LEVELS: Final = 64
_TASKS_ALL_THE_SAME: Final = "its dispatches are tasks all the same"

# As the errors of errors.py name the conditions.
_CODES: Final[Mapping[type[LocalProtocolError], str]] = {
    PayloadTooLong: "too_large",
    CommandQueueFull: "rate_limited",
    ShardEnding: "not_ready",
}

Send = Callable[[int, Any], None]
"""Hands a command to the machine; raises LocalProtocolError."""


class _Waiting:
    """A gathering, how large it is, and the timer for what is due next."""

    def __init__(self, gathering: Gathering) -> None:
        self.gathering = gathering
        self.size_bytes = 0
        self.timer: asyncio.TimerHandle | None = None


class Requests:
    """Sends commands, watches dispatches for the answers that somebody waits for; equal requests are one."""

    def __init__(self, send: Send, is_live: Callable[[], bool], reply: Callable[[CommandDone], None]) -> None:
        self._send = send
        self._is_live = is_live
        self._reply = reply
        self._waiting: dict[str, _Waiting] = {}
        self.events: frozenset[str] = frozenset()
        """The dispatches that :meth:`receive` wants to see; nearly always none."""

    def perform(self, command: Command) -> None:
        """Send one command; the reply comes when it is queued, or when Discord has answered."""
        if not command.timeout_s:
            self._done([command.id], **self._try_send(command.op, command.data))
            return
        now = _now()
        key = f"{command.op} {orjson.dumps(command.data, option=orjson.OPT_SORT_KEYS).decode()}"
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = _Waiting(Gathering(command.op, command.data, token_hex(8), now))
            self._waiting[key] = waiting
        waiting.gathering.wait(command.id, command.timeout_s, now)
        self._watch()
        self._serve(key, waiting)

    def receive(self, event: str, raw: bytes) -> None:
        """See a dispatch that is in :attr:`events`."""
        try:
            data = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return
        for key, waiting in tuple(self._waiting.items()):
            if not waiting.gathering.receive(event, data, _now()):
                continue
            waiting.size_bytes += len(raw)
            if _is_deeper(data, MAX_ANSWER_LEVELS):
                message = f"the answer is nested more than {MAX_ANSWER_LEVELS} levels deep; {_TASKS_ALL_THE_SAME}"
                self._finish(key, waiting, error="too_large", message=message)
            else:
                self._serve(key, waiting)

    def close(self) -> None:
        """Give up everything that waits; the process ends."""
        for key, waiting in tuple(self._waiting.items()):
            self._finish(key, waiting, error="not_ready", message="the shard process ended")

    def _serve(self, key: str, waiting: _Waiting) -> None:
        """Do what is due, and come back at the next deadline."""
        gathering, now = waiting.gathering, _now()
        if gathering.is_complete:
            self._finish(key, waiting, result=list(gathering.parts))
        elif waiting.size_bytes > MAX_ANSWER_BYTES:
            message = f"the answer has more than {MAX_ANSWER_BYTES} bytes; {_TASKS_ALL_THE_SAME}"
            self._finish(key, waiting, error="too_large", message=message)
        else:
            if expired := gathering.take_expired(now):
                self._done(expired, **self._why_expired(gathering))
            if not gathering.deadlines:
                self._remove(key, waiting)
                return
            if gathering.is_due(now):
                waiting.size_bytes = 0
                fault = self._try_send(gathering.op, gathering.data)
                if fault:
                    self._finish(key, waiting, **fault)
                    return
                gathering.sent(now)
            if waiting.timer is not None:
                waiting.timer.cancel()
            loop = asyncio.get_running_loop()
            waiting.timer = loop.call_at(gathering.next_deadline, self._serve, key, waiting)

    def _why_expired(self, gathering: Gathering) -> Mapping[str, Any]:
        if not self._is_live():
            return {"error": "not_ready", "message": "the shard had no live session in time"}
        if gathering.retry_after_s is not None:
            return {
                "error": "rate_limited",
                "message": "Discord limits this request and wants it later than it was waited for",
                "retry_after_s": gathering.retry_after_s,
            }
        return {"error": "timeout", "message": "Discord did not answer in time"}

    def _try_send(self, op: int, data: Any) -> Mapping[str, Any]:
        try:
            self._send(op, data)
        except LocalProtocolError as exc:
            return {"error": _CODES.get(type(exc), "invalid_argument"), "message": str(exc)}
        return {}

    def _finish(self, key: str, waiting: _Waiting, **outcome: Any) -> None:
        self._remove(key, waiting)
        self._done(waiting.gathering.deadlines, **outcome)

    def _remove(self, key: str, waiting: _Waiting) -> None:
        if waiting.timer is not None:
            waiting.timer.cancel()
        del self._waiting[key]
        self._watch()

    def _done(self, command_ids: Iterable[int], **outcome: Any) -> None:
        for command_id in command_ids:
            self._reply(CommandDone(id=command_id, **outcome))

    def _watch(self) -> None:
        self.events = frozenset().union(*(waiting.gathering.events for waiting in self._waiting.values()))


def _is_deeper(value: Any, levels: int) -> bool:
    """Tell whether JSON is nested more than ``levels`` deep, level by level: Python's stack would not hold them all."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [each for each in layer if isinstance(each, dict | list)]
        if not layer:
            return False
        layer = [inner for each in layer for inner in (each.values() if isinstance(each, dict) else each)]
    return True


def _now() -> float:
    return asyncio.get_running_loop().time()
