"""A bound on the size of requests, before anything is read into memory."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gateway_service.refusals import TooLarge

MAX_BODY_BYTES: Final = 64 * 1024
# Who still sends when the connection is closed gets a reset and not our answer: so much more is thrown away first.
_DISCARDED_BYTES: Final = 4 * 1024 * 1024

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


class BodyLimit:
    """ASGI middleware: refuses a body of more than :data:`MAX_BODY_BYTES`, announced or not."""

    def __init__(self, app: _App, refuse: Callable[[_Message, TooLarge], Awaitable[_App]]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        size, is_complete = 0, False
        while not is_complete:
            message = await receive()
            if message["type"] != "http.request":  # the client went away
                return
            part = message.get("body", b"")
            size += len(part)
            is_complete = not message.get("more_body", False)
            if size <= MAX_BODY_BYTES:
                parts.append(part)
            elif is_complete or size > MAX_BODY_BYTES + _DISCARDED_BYTES:
                error = TooLarge(f"the request has more than {MAX_BODY_BYTES} bytes")
                answer = await self._refuse(scope, error)
                await answer(scope, receive, send)
                return

        async def whole() -> _Message:
            if parts:
                body = b"".join(parts)
                parts.clear()
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, whole, send)
