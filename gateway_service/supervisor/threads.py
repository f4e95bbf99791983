"""Running a blocking call of somebody else's without being blocked by it."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


async def call_in_thread(function: Callable[[], _Result], *, name: str, timeout_s: float) -> _Result:
    """Return what ``function`` returns, called in a thread of its own.

    The thread is a daemon: one that never comes back delays neither us nor the end of the program, which a thread of
    ``asyncio.to_thread`` would.

    Raises:
        TimeoutError: It took longer than ``timeout_s``; its result is dropped.
        Exception: Whatever ``function`` raises; what asyncio cannot hand on (SystemExit) becomes a RuntimeError.
    """
    answer: Future[_Result] = Future()
    answer.set_running_or_notify_cancel()  # no cancelling from here on: the thread may always set its result

    def run() -> None:
        try:
            answer.set_result(function())
        except StopIteration as exc:
            answer.set_exception(RuntimeError(repr(exc)))
        except Exception as exc:  # noqa: BLE001 - handed on to the caller
            answer.set_exception(exc)
        except BaseException as exc:  # noqa: BLE001 - the same
            answer.set_exception(RuntimeError(repr(exc)))

    threading.Thread(target=run, name=name, daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await asyncio.wrap_future(answer)
