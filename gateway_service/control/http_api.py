"""The HTTP door: a FastAPI application made from the registry."""

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Annotated, Any, Final

import orjson
from fastapi import Body, FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, create_model
from starlette import types as asgi
from starlette.exceptions import HTTPException
from starlette.routing import Match

from gateway_service.control.arguments import Arguments
from gateway_service.control.body_limit import BodyLimit
from gateway_service.control.control import Control
from gateway_service.control.feed import Feed
from gateway_service.control.health import why_not_ready
from gateway_service.control.idempotency import BadKey, IdempotencyKeys
from gateway_service.control.metrics import CONTENT_TYPE, exposition
from gateway_service.control.operations import OPERATIONS, Operation
from gateway_service.control.other_sites import check_no_site_sent
from gateway_service.control.places import Misplaced, check_places, in_path
from gateway_service.control.problem import PROBLEM_JSON, Problem, problem_of
from gateway_service.control.replies import Answer
from gateway_service.control.room import NoRoom, Room
from gateway_service.control.tokens import Scope, Tokens
from gateway_service.refusals import FAULT, ControlError, InvalidArgument, TooLarge

# Proxies close what says nothing for half a minute or a minute, and who went away is found out by writing.
KEEP_ALIVE_S: Final = 15.0
# Together well below the connections that the server takes: what is left is for probes and metrics, which never wait.
MAX_STREAMS: Final = 50
MAX_CALLS: Final = 100

_PROBLEM: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "content": {PROBLEM_JSON: {}}} for status in ("4XX", "5XX", 422)
}


class _EventStream(StreamingResponse):
    """Server-sent events; takes its place for as long as they last."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], room: Room) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._room = room

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        with self._room.taken():
            await super().__call__(scope, receive, send)


class HttpApi:
    """The paths of :data:`OPERATIONS` and those that only HTTP has."""

    def __init__(self, control: Control, feed: Feed, tokens: Tokens, version: str) -> None:
        self._control = control
        self._feed = feed
        self._tokens = tokens
        self._keys = IdempotencyKeys(time.monotonic)
        self._streams = Room(MAX_STREAMS, "event streams")
        self._calls = Room(MAX_CALLS, "calls")
        self.app = FastAPI(
            title="gateway-service",
            version=version,
            description="Operate the shards of a Discord bot. Every error is `application/problem+json` with a `code`.",
            docs_url=None,  # FastAPI's pages fetch their scripts from a CDN
            redoc_url=None,
        )
        self.app.add_middleware(BodyLimit, refuse=self._too_large)
        self.app.add_exception_handler(ControlError, self._refused)
        self.app.add_exception_handler(RequestValidationError, self._invalid)
        self.app.add_exception_handler(HTTPException, self._no_such_path)
        self.app.add_exception_handler(Exception, self._failed)
        for operation in OPERATIONS.values():
            self._add(operation)
        self._add_pages()

    def _add(self, operation: Operation) -> None:
        self.app.add_api_route(
            operation.path,
            _endpoint(operation, self._perform),
            methods=[operation.method],
            name=operation.name,
            summary=operation.help,
            response_model=Answer[operation.reply],  # type: ignore[name-defined]
            responses=_PROBLEM,
            tags=[operation.kind],
        )

    async def _perform(
        self, operation: Operation, request: Request, given: Mapping[str, Any], key: str | None
    ) -> Response:
        caller = self._let_in(operation, request)
        fingerprint = f"{operation.name} {orjson.dumps(dict(given), option=orjson.OPT_SORT_KEYS).decode()}"

        async def call() -> Answer[Any]:
            return await self._control.perform(operation, given, caller)

        def repeated() -> None:
            self._control.repeated(operation, given, caller)

        try:
            check_places(operation, request.query_params.multi_items(), await request.body(), given)
            with self._calls.taken():
                answer = await self._keys.once(caller.rpartition("@")[0], key, fingerprint, call, repeated)
        except (BadKey, Misplaced, NoRoom) as exc:
            self._control.turned_away(operation, caller, exc)
            raise
        return Response(answer.model_dump_json(), media_type="application/json")

    def _let_in(self, operation: Operation, request: Request) -> str:
        """Return who asks for an operation, if they may."""
        try:
            return self._authorize(request, "read" if operation.kind == "inspect" else "control")
        except ControlError as exc:
            self._control.refused(operation, f"http@{_address_of(request)}", exc)
            raise

    def _authorize(self, request: Request, scope: Scope) -> str:
        if not self._tokens:
            check_no_site_sent(request.headers)
        name = self._tokens.authorize(request.headers.get("authorization"), scope)
        return f"http:{name}@{_address_of(request)}"

    def _add_pages(self) -> None:
        app, host = self.app, self._control.host

        @app.get("/livez", summary="This process serves; says nothing of broker or Discord.", tags=["health"])
        async def livez() -> PlainTextResponse:
            return PlainTextResponse("live\n")

        @app.get(
            "/readyz",
            summary="Every shard is live; otherwise 503, and why not.",
            tags=["health"],
            responses={503: {"description": "Not ready; one reason a line.", "content": {"text/plain": {}}}},
        )
        async def readyz() -> PlainTextResponse:
            reasons = why_not_ready(host.service.snapshot())
            text = "\n".join(reasons or ["ready"])
            return PlainTextResponse(f"{text}\n", 503 if reasons else 200)

        @app.get("/metrics", summary="Prometheus metrics.", tags=["health"], responses=_PROBLEM)
        async def metrics(request: Request) -> Response:
            self._authorize(request, "read")
            return Response(exposition(self._control), media_type=CONTENT_TYPE)

        @app.get("/v1/events", summary="State changes as server-sent events.", tags=["inspect"], responses=_PROBLEM)
        async def events(request: Request) -> _EventStream:
            self._authorize(request, "read")
            return _EventStream(self._stream(), self._streams)

        @app.get("/docs", include_in_schema=False)
        async def docs() -> HTMLResponse:
            return HTMLResponse(files(__package__).joinpath("docs.html").read_text("utf-8"))

    async def _stream(self) -> AsyncIterator[bytes]:
        """Yield a ``shard`` event for each shard, then one for each change, and a comment where there is none."""
        async for change in self._feed.changes(KEEP_ALIVE_S):
            yield b": nothing new\n\n" if change is None else b"event: shard\ndata: " + orjson.dumps(change) + b"\n\n"

    async def _refused(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, ControlError)
        headers = {"Retry-After": str(int(error.retry_after_s) + 1)} if error.retry_after_s is not None else {}
        if error.status == 401:  # noqa: PLR2004 - Unauthorized
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, NoRoom | TooLarge):  # takes a place from probes all the same; was not read to its end
            headers["Connection"] = "close"
        body = orjson.dumps(problem_of(error, self._control.host.name))
        return Response(body, error.status, headers, media_type=PROBLEM_JSON)

    async def _invalid(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return await self._unreadable(request, InvalidArgument("; ".join(map(_sentence, error.errors()))))

    async def _too_large(self, scope: asgi.Scope, error: TooLarge) -> Response:
        return await self._unreadable(Request(scope), error)

    async def _unreadable(self, request: Request, error: ControlError) -> Response:
        if operation := self._operation_at(request):
            try:
                caller = self._let_in(operation, request)
            except ControlError as exc:  # who may nothing is told nothing of arguments
                return await self._refused(request, exc)
            self._control.turned_away(operation, caller, error)
        return await self._refused(request, error)

    def _operation_at(self, request: Request) -> Operation | None:
        """Return the operation of a request that may not have been routed yet."""
        matching = (route for route in self.app.routes if route.matches(request.scope)[0] is Match.FULL)
        return OPERATIONS.get(getattr(next(matching, None), "name", ""))

    async def _failed(self, request: Request, _error: Exception) -> Response:
        return await self._refused(request, ControlError(FAULT))

    async def _no_such_path(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 400:  # noqa: PLR2004 - JSON that is nested too deeply, or a number of too many digits
            return await self._unreadable(request, InvalidArgument(f"body: {error.detail}"))
        refused = NoSuchPath(f"{request.method} {request.url.path}: {error.detail}; see /docs")
        refused.status = error.status_code
        response = await self._refused(request, refused)
        response.headers.update(error.headers or {})
        return response


def _address_of(request: Request) -> str:
    return request.client.host if request.client is not None else "local"


def _sentence(fault: Mapping[str, Any]) -> str:
    """Return what FastAPI found wrong; ``loc`` begins with where the argument was, and is a position in bad JSON."""
    where, *names = fault["loc"]
    reason = fault.get("ctx", {}).get("error", fault["msg"])
    if fault["type"] == "json_invalid":
        return f"{where}: is not JSON: {reason} at character {names[0] + 1}"
    return f"{'.'.join(map(str, names)) or where}: {reason}"


class NoSuchPath(ControlError):
    """There is nothing at this path for this method."""

    code = "not_found"
    status = 404


Perform = Callable[[Operation, Request, Mapping[str, Any], str | None], Awaitable[Response]]


def _endpoint(operation: Operation, perform: Perform) -> Callable[..., Awaitable[Response]]:
    """Return a function whose signature tells FastAPI which arguments come from where."""
    names_in_path = in_path(operation)
    rest = _without(operation.arguments, names_in_path, operation.name)

    async def endpoint(request: Request, **given: Any) -> Response:
        key = given.pop("idempotency_key", None)
        others: BaseModel | None = given.pop("others", None)
        if others is not None:
            given |= others.model_dump(mode="json", exclude_unset=True)
        return await perform(operation, request, given, key)

    parameters: dict[str, Any] = {"request": Request}
    for name in sorted(names_in_path):
        field = operation.arguments.model_fields[name]
        parameters[name] = Annotated[field.annotation, *field.metadata, Path(examples=field.examples)]
    if rest.model_fields:
        parameters["others"] = Annotated[rest, Body() if operation.takes == "body" else Query()]
    if operation.kind == "control":
        parameters["idempotency_key"] = Annotated[
            str | None, Header(description="Sent again within ten minutes, the call is not carried out again.")
        ]
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=kind,
                default=None if name == "idempotency_key" else inspect.Parameter.empty,
            )
            for name, kind in parameters.items()
        ]
    )
    return endpoint


def _without(arguments: type[Arguments], names: set[str], operation: str) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in arguments.model_fields.items() if name not in names
    }
    title = "".join(map(str.capitalize, operation.split("_")))
    return create_model(f"{title}Arguments", __config__=arguments.model_config, **fields)
