"""``amqps://`` of kombu, whose TLS options come from the URL and which checks the broker's certificate.

kombu reads options such as ``ssl_ca_certs`` from the query and gives them to py-amqp under names that it does not have;
and py-amqp by itself checks no certificate.
"""

import ssl
from collections.abc import Mapping
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.pyamqp import SSLTransport


def install() -> None:
    """Use this transport for ``amqps://`` in the whole process: of Celery, of the publisher, and of handlers, too."""
    TRANSPORT_ALIASES["amqps"] = f"{__name__}:Transport"


class Transport(SSLTransport):
    """kombu's transport, but for its TLS options."""

    def establish_connection(self) -> Any:
        """Connect with the options of the node that is tried; the next one may have others."""
        client: Any = self.client
        connect: Any = super().establish_connection
        given, hostname = client.ssl, client.hostname  # kombu makes another one of localhost
        client.ssl = tls_options(hostname, given)
        try:
            return connect()
        finally:
            client.ssl, client.hostname = given, hostname


def tls_options(hostname: str | None, given: Any) -> dict[str, Any]:
    """Return the options of py-amqp that check the certificate, unless it was said not to.

    Args:
        hostname: Which name the certificate must have.
        given: What kombu read from the URL's query (``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``,
            ``ssl_cert_reqs``, ``ssl_check_hostname``), or ``broker_use_ssl`` of Celery.
    """
    options: dict[str, Any] = {"server_hostname": hostname, "cert_reqs": ssl.CERT_REQUIRED}
    if isinstance(given, Mapping):
        options.update({name.removeprefix("ssl_"): value for name, value in given.items()})
    if options["cert_reqs"] == ssl.CERT_NONE or options.pop("check_hostname", True) is False:
        options["server_hostname"] = None
    return options
