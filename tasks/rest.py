"""Discord's REST API as far as these examples need it. Bring the client you like; handlers are plain functions."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx

from gateway_service.settings import load_options

_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 5.0  # when Discord fails and does not say how long to wait
_USER_AGENT: Final = "DiscordBot (gateway-service, 0.1)"  # Discord asks for this form

# httpx logs every URL at info, and the URL of an interaction holds its token. A filter stays whatever level is set.
logging.getLogger("httpx").addFilter(lambda record: record.levelno >= logging.WARNING)


class TryAgain(Exception):
    """Discord could not take the request now; ``retry_after_s`` says when it may."""

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(what, retry_after_s)
        self.what = what
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"Discord could not take {self.what}; again in {self.retry_after_s:g} s"


class Refused(Exception):
    """Discord refused the request, and would refuse it again; ``code`` is Discord's own error code, or 0."""

    def __init__(self, what: str, status: int, code: int, reason: str) -> None:
        super().__init__(what, status, code, reason)
        self.what = what
        self.status = status
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"Discord refused {self.what}: HTTP {self.status}, {self.code} {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message to write."""

    channel_id: str
    content: str
    nonce: str
    """Discord drops a second message with the same nonce, so a handler that runs twice answers once."""
    reply_to: str | None = None
    """Id of the message that this one answers."""
    mentions: tuple[str, ...] = ()
    """Ids of the users who may be notified; nobody else is, whatever the content says."""


class DiscordRest:
    """A small client of Discord's REST API; safe to share between threads."""

    def __init__(self, api_url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        """Make a client; it connects when it is used.

        Args:
            api_url: ``https://discord.com/api/v10`` or a stand-in.
            token: The bot token.
            transport: Another way to reach the API, for tests.
        """
        self._client = httpx.Client(
            base_url=api_url, timeout=_TIMEOUT_S, transport=transport, headers={"User-Agent": _USER_AGENT}
        )
        self._authorization = {"Authorization": f"Bot {token}"}

    def post(self, post: Post) -> None:
        """Write a message.

        Raises:
            TryAgain: Later.
            Refused: Never.
        """
        body: dict[str, Any] = {
            "content": post.content,
            "nonce": post.nonce,
            "enforce_nonce": True,
            "allowed_mentions": {"parse": [], "users": list(post.mentions)},
        }
        if post.reply_to is not None:
            body["message_reference"] = {"message_id": post.reply_to, "fail_if_not_exists": False}
        self._send("POST", f"/channels/{post.channel_id}/messages", body, "a message", self._authorization)

    def answer(self, application_id: str, interaction_token: str, content: str) -> None:
        """Put the answer where a deferred interaction shows that one follows.

        Raises:
            TryAgain: Later.
            Refused: Never.
        """
        path = f"/webhooks/{application_id}/{interaction_token}/messages/@original"
        body = {"content": content, "allowed_mentions": {"parse": []}}
        self._send("PATCH", path, body, "the answer to an interaction")

    def close(self) -> None:
        """Close the connections to Discord; a process that ends closes them anyway."""
        self._client.close()

    def _send(
        self, method: str, path: str, body: Mapping[str, Any], what: str, headers: Mapping[str, str] | None = None
    ) -> None:
        try:
            response = self._client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise TryAgain(what, _PAUSE_S) from error
        if response.is_success:
            return
        said = _json_object(response)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise TryAgain(what, _seconds(said.get("retry_after"), response.headers.get("Retry-After")))
        raise Refused(what, response.status_code, said.get("code", 0), said.get("message", response.reason_phrase))


@cache
def discord() -> DiscordRest:
    """Return this process's client, made from the gateway's own settings.

    Raises:
        ConfigurationError: There is no token, or a setting is wrong.
    """
    options = load_options({}, os.environ)
    return DiscordRest(options.api_url, options.token.get_secret_value())


@contextmanager
def retried(task: Any) -> Iterator[None]:
    """Retry the Celery task when Discord asks to come back later."""
    try:
        yield
    except TryAgain as again:
        raise task.retry(exc=again, countdown=again.retry_after_s) from again


def _json_object(response: httpx.Response) -> Mapping[str, Any]:
    """Return what Discord says in a failure; a proxy in front of it says it in HTML."""
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(*candidates: object) -> float:
    for candidate in candidates:
        try:
            return max(0.0, float(str(candidate)))
        except ValueError:
            continue
    return _PAUSE_S
