"""Gateway URLs: which query they carry and which of them may be dialled."""

from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from gateway_service.protocol.constants import API_VERSION, Compression

_SCHEMES: Final = ("ws", "wss")


def connect_url(base: str, compression: Compression) -> str:
    """Return ``base`` with our query instead of its own; bases come with and without a trailing slash (C2, C3)."""
    parts = urlsplit(base)
    query = {"v": str(API_VERSION), "encoding": "json"}
    if compression != "none":
        query["compress"] = compression
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", urlencode(query), ""))


def is_dialable(url: object) -> bool:
    """Tell whether ``url`` is the address of a WebSocket."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # as every look-up of a name begins
        return parts.scheme in _SCHEMES and bool(host) and parts.port != 0
    except ValueError:  # an unfinished IPv6 address, a port that is not a number, a label of no or 64 characters
        return False


def may_resume_at(url: object, *, gateway_url: str) -> bool:
    """Tell whether a session's own URL can be used: the token must not leave an encrypted gateway in clear text."""
    return is_dialable(url) and (str(url).startswith("wss:") or not gateway_url.startswith("wss:"))
