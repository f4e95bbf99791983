"""Where the broker libraries' exceptions end: above it there is :class:`BrokerUnavailable` only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import kombu.exceptions
from amqp.exceptions import AMQPError
from kombu.utils.url import url_to_parts

from gateway_service.errors import BrokerUnavailable
from gateway_service.telemetry import redact

_ERRORS: Final = (AMQPError, kombu.exceptions.KombuError, OSError)


def place_of(broker_url: str) -> str:
    """Return what may be shown of a broker URL: where it is and nothing secret."""
    shown = []
    for url in broker_url.split(";"):
        parts = url_to_parts(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
        shown.append(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}/{parts.path or ''}")
    return ";".join(shown)


@contextmanager
def broker_errors_mapped(where: str, *more: type[Exception]) -> Iterator[None]:
    """Turn what the libraries raise for a lost or refused connection into ``BrokerUnavailable``."""
    try:
        yield
    except (*_ERRORS, *more) as exc:
        raise BrokerUnavailable(where, reason_of(exc)) from exc


def reason_of(exc: BaseException) -> str:
    """Return the text of a library's exception, without secrets; some of them have none."""
    return redact(str(exc).strip()) or type(exc).__name__
