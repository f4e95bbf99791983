"""The one request that we send to Discord for a handler: "an answer follows"."""

import functools
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from celery.utils.log import get_logger

from gateway_service.settings.options import DEFAULT_API_URL

if TYPE_CHECKING:
    import httpx

API_URL_KEY: Final = "gateway_api_url"
"""Setting of the Celery application: GATEWAY_API_URL."""
_USER_AGENT: Final = "DiscordBot (gateway-service, 0.1)"  # Discord asks for this form
_TIMEOUT_S: Final = 1.0
_TRIES: Final = 2  # within the half second that the expiry leaves, and a little more
_ALREADY_ACKNOWLEDGED: Final = 40060
_UNKNOWN_INTERACTION: Final = 10062

# See Discord: interactions/receiving-and-responding#interaction-response-object.
_MODAL_OR_COMMAND: Final = 5  # "... is thinking"
_COMPONENT: Final = 6  # the message stays as it is for now
_MESSAGE_COMPONENT: Final = 3  # interaction type
_EPHEMERAL: Final = 1 << 6  # message flag

_log = get_logger(__name__)


class AlreadyAnswered(Exception):
    """The interaction was answered or deferred before."""


class TooLate(Exception):
    """Discord does not know the interaction any more."""


def callback_for(interaction: Mapping[str, Any], *, is_private: bool) -> dict[str, Any]:
    """Return the body that defers an interaction; ``is_private``: only who made it will see the answer."""
    if interaction["type"] == _MESSAGE_COMPONENT:
        return {"type": _COMPONENT}
    return {"type": _MODAL_OR_COMMAND, "data": {"flags": _EPHEMERAL if is_private else 0}}


def defer(interaction: Mapping[str, Any], *, is_private: bool, conf: Any) -> None:
    """Tell Discord that an answer follows. The interaction's own token is all that this needs.

    When Discord cannot be reached, the handler may run all the same: what it does is more than the answer.

    Raises:
        AlreadyAnswered: By this handler before, or by another.
        TooLate: Nobody can answer it.
    """
    import httpx  # a seventh of a worker's start, for what most workers never do

    api_url = conf.get(API_URL_KEY) or DEFAULT_API_URL
    path = f"{api_url}/interactions/{interaction['id']}/{interaction['token']}/callback"
    body = callback_for(interaction, is_private=is_private)
    for _ in range(_TRIES):
        try:
            response = _client(os.getpid()).post(path, json=body)
        except httpx.TransportError as exc:
            failure = type(exc).__name__
            continue
        if response.is_success:
            return
        code = _code_of(response)
        if code == _ALREADY_ACKNOWLEDGED:
            raise AlreadyAnswered
        if code == _UNKNOWN_INTERACTION:
            raise TooLate("Discord does not know it any more")
        failure = f"HTTP {response.status_code}, code {code}"
        if not response.is_server_error:
            break
    _log.error("Interaction %s is not deferred: %s", interaction["id"], failure)


@functools.cache
def _client(_pid: int) -> "httpx.Client":
    """Return this process's client; its connection stays open for the next interaction."""
    import httpx

    # httpx logs every URL at info, and the URL of an interaction holds its token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.Client(timeout=_TIMEOUT_S, headers={"User-Agent": _USER_AGENT})


def _code_of(response: "httpx.Response") -> int:
    """Return Discord's own error code; 0 when a proxy in front of it answered."""
    try:
        said = response.json()
    except ValueError:
        return 0
    return said.get("code", 0) if isinstance(said, dict) else 0
