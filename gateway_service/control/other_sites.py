"""Requests that a browser sends for a page of another site: where no token is wanted, any page could send them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

# "none" is what a person typed into the browser; programs send nothing.
_OURS: Final = frozenset({None, "none", "same-origin"})


def is_from_other_site(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser says so, in ``Sec-Fetch-Site`` or, an older one, in ``Origin``."""
    origin = headers.get("Origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != headers.get("Host")
    return is_foreign or headers.get("Sec-Fetch-Site") not in _OURS
