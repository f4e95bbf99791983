"""``GET /gateway/bot``: where the gateway is, how many shards Discord wants, how fast they may identify."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import httpx

from gateway_service.errors import ApiUnavailable, TokenRefused
from gateway_service.protocol.address import is_dialable
from gateway_service.protocol.budget import StartLimit
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)


def user_agent() -> str:
    """Return who we are in the form that Discord asks for. See Discord: reference#user-agent."""
    try:
        installed = version("gateway-service")
    except PackageNotFoundError:  # run from a source tree
        installed = "0"
    return f"DiscordBot (gateway-service, {installed})"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayInfo:
    """The answer, checked."""

    url: str
    shards: int
    """The shard count that Discord recommends."""
    max_concurrency: int
    """Identify keys; at least 1."""
    identifies_total: int
    identifies_remaining: int
    """IDENTIFYs left before Discord resets the token; new ones come after ``reset_after_s``."""
    reset_after_s: float
    clock_offset_s: float | None = None
    """How far our clock was ahead of Discord's when the answer arrived, to a second; None when it does not say."""


def start_limit_of(info: GatewayInfo, asked_at: float) -> StartLimit:
    """Return what an answer of Discord's says about the budget."""
    return StartLimit(
        total=info.identifies_total,
        remaining=info.identifies_remaining,
        reset_after_s=info.reset_after_s,
        asked_at=asked_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to try."""

    tries: int = 4
    timeout_s: float = 10.0
    """Of one try, from connecting to the last byte."""
    first_backoff_s: float = 1.0
    """Doubles after each try that got no usable answer."""
    max_wait_s: float = 60.0
    """Longest wait that Discord may ask for with 429; beyond it we end and leave the waiting to a person."""


async def fetch_gateway_info(api_url: str, token: str, patience: Patience | None = None) -> GatewayInfo:
    """Ask Discord how this bot shall connect.

    Raises:
        TokenRefused: Discord does not know the token.
        ApiUnavailable: There was no usable answer, and another try would not help or was one too many.
    """
    patience = patience or Patience()
    url = f"{api_url}/gateway/bot"
    headers = {"Authorization": f"Bot {token}", "User-Agent": user_agent(), "Accept": "application/json"}
    async with httpx.AsyncClient(headers=headers, timeout=patience.timeout_s) as client:
        for tried in range(1, patience.tries + 1):
            backoff_s = patience.first_backoff_s * 2.0 ** (tried - 1)
            try:
                async with asyncio.timeout(patience.timeout_s):
                    response = await client.get(url)
            except TimeoutError:
                event, wait_s, reason = LogEvent.API_FAILED, backoff_s, f"no answer within {patience.timeout_s:g} s"
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                event, wait_s, reason = LogEvent.API_FAILED, backoff_s, str(exc) or type(exc).__name__
            else:
                if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                    event, wait_s = LogEvent.API_RATE_LIMITED, _retry_after_s(response, backoff_s)
                    reason = f"HTTP 429, try again in {wait_s:g} s"
                    if wait_s > patience.max_wait_s:
                        raise ApiUnavailable(api_url, reason)
                elif response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    event, wait_s, reason = LogEvent.API_FAILED, backoff_s, _status(response)
                else:
                    return _info_of(response, api_url)
            if tried < patience.tries:
                log_event(_log, logging.WARNING, event, reason=reason, wait_s=wait_s)
                await asyncio.sleep(wait_s)
    raise ApiUnavailable(api_url, f"{reason} ({patience.tries} tries)")


def _info_of(response: httpx.Response, api_url: str) -> GatewayInfo:
    """Read an answer that another try would not change."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        raise TokenRefused
    if response.status_code != HTTPStatus.OK:
        raise ApiUnavailable(api_url, f"{_status(response)}; is GATEWAY_API_URL right?")
    try:
        answer = response.json()
        limit = _field(answer, "session_start_limit", dict)
        return GatewayInfo(
            url=_gateway_url(answer),
            shards=max(1, _field(answer, "shards", int)),
            # hikari met answers with 0 here. See protocol §14.
            max_concurrency=max(1, _field(limit, "max_concurrency", int)),
            identifies_total=_field(limit, "total", int),
            identifies_remaining=_field(limit, "remaining", int),
            reset_after_s=_field(limit, "reset_after", int) / 1000,  # the wire says milliseconds
            clock_offset_s=_clock_offset_s(response, time.time()),
        )
    except ValueError as exc:
        kind = response.headers.get("content-type", "something").partition(";")[0]
        if kind == "application/json":
            raise ApiUnavailable(api_url, f"the answer is not that of Discord: {exc}") from None
        raise ApiUnavailable(
            api_url, f"it answered {kind} instead of JSON; is GATEWAY_API_URL right, and no proxy in between?"
        ) from None


def _field(answer: object, name: str, kind: type[Any]) -> Any:
    if not isinstance(answer, Mapping) or name not in answer:
        raise ValueError(f"{name!r} is missing")
    value = answer[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name!r} is {value!r}")  # noqa: TRY004 - one error for every fault of the answer
    return value


def _gateway_url(answer: object) -> str:
    """Return the URL; a shard process could only end and be started again for ever with one that nobody can dial."""
    url: str = _field(answer, "url", str)
    if not is_dialable(url):
        raise ValueError("url is not the address of a WebSocket")
    return url


def _retry_after_s(response: httpx.Response, otherwise_s: float) -> float:
    """Return how long Discord wants us to wait: the body is exact, the header is in whole seconds."""
    try:
        wait_s = float(response.json()["retry_after"])
    except (ValueError, TypeError, KeyError):
        try:
            wait_s = float(response.headers["Retry-After"])
        except (ValueError, KeyError):
            return otherwise_s
    # Neither a negative nor an infinite nor a NaN wait makes sense.
    return wait_s if 0 <= wait_s < float("inf") else otherwise_s


def _clock_offset_s(response: httpx.Response, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (ValueError, KeyError):
        return None


def _status(response: httpx.Response) -> str:
    return f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
