"""Requests that a browser sends for a page of another site: where no token is wanted, any page could send them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from gateway_service.refusals import Forbidden
from gateway_service.settings import Address

# "none" is what a person typed into the browser; programs send nothing.
_OURS: Final = frozenset({None, "none", "same-origin"})


def is_from_other_site(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser says so, in ``Sec-Fetch-Site`` or, an older one, in ``Origin``."""
    origin = headers.get("Origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != headers.get("Host")
    return is_foreign or headers.get("Sec-Fetch-Site") not in _OURS


def is_for_this_machine(headers: Mapping[str, str]) -> bool:
    """Tell whether ``Host`` is ``localhost`` or a loopback address.

    Any other name is the one of a page whose owner let it lead here (DNS rebinding): to the browser, and in its headers
    the page and this service are then one site.
    """
    try:
        host = urlsplit(f"//{headers.get('Host', '')}").hostname
    except ValueError:  # brackets that are not closed
        return False
    return Address(host or "", 0).is_loopback


def check_no_site_sent(headers: Mapping[str, str]) -> None:
    """Check a request that needs no token.

    Raises:
        Forbidden: A page of another site may have sent it.
    """
    if is_from_other_site(headers):
        raise Forbidden("without tokens, requests from the pages of other sites are refused")
    if not is_for_this_machine(headers):
        raise Forbidden("Host: without tokens, it must be localhost or a loopback address, such as 127.0.0.1")
