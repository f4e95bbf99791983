"""Idempotency keys: a control call that is sent again, because its answer was lost, is not carried out again."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway_service.control.room import NoRoom
from gateway_service.refusals import ControlError, InvalidArgument, OperationTimedOut, OtherHost

KEEP_S: Final = 600.0
MAX_KEYS: Final = 1000
MAX_KEY_CHARS: Final = 128

Call = Callable[[], Awaitable[Any]]


class BadKey(InvalidArgument):
    """The Idempotency-Key cannot be used."""


class IdempotencyKeys:
    """The calls of the last minutes by their key; an equal key joins the call or gets its answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: OrderedDict[tuple[str, str], tuple[float, str, asyncio.Future[Any]]] = OrderedDict()

    async def once(
        self, caller: str, key: str | None, fingerprint: str, call: Call, repeated: Callable[[], None] = lambda: None
    ) -> Any:
        """Return what ``call`` returns, or what it returned when this key came first.

        Args:
            caller: Keys of different callers do not meet.
            key: None performs the call in any case.
            fingerprint: What is asked for; a key stands for one request.
            call: Performs it.
            repeated: Told where the call is another one's, before its answer.

        Raises:
            BadKey: It is too long, or came with another request before.
            NoRoom: As many keys are remembered as there is room for; forgetting one would let its call run again.
            ControlError: Whatever the call raised, also for the calls that came later.
        """
        if key is None:
            return await call()
        if not 0 < len(key) <= MAX_KEY_CHARS:
            raise BadKey(f"Idempotency-Key: must have 1 to {MAX_KEY_CHARS} characters")
        self._forget_old()
        known = self._calls.get((caller, key))
        if known is not None:
            _, known_fingerprint, running = known
            if known_fingerprint != fingerprint:
                raise BadKey("Idempotency-Key: was sent with another request before")
            repeated()
            return await asyncio.shield(running)
        if len(self._calls) >= MAX_KEYS:
            raise NoRoom(
                f"Idempotency-Key: {MAX_KEYS} keys came in the last {KEEP_S:.0f} s; try again later or without"
            )
        task = asyncio.ensure_future(call())
        self._calls[caller, key] = (self._clock() + KEEP_S, fingerprint, task)
        try:
            return await asyncio.shield(task)
        except (OperationTimedOut, OtherHost):
            raise  # what was sent may still have its effect, and only the answer of its host be lost
        except ControlError:
            self._calls.pop((caller, key), None)  # nothing was done, so it may be tried again
            raise

    def _forget_old(self) -> None:
        now = self._clock()
        while self._calls and next(iter(self._calls.values()))[0] <= now:
            self._calls.popitem(last=False)
