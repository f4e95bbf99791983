"""URLs: which are accepted, and how their passwords stay out of sight."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway_service.settings.values import BadValue, did_you_mean
from gateway_service.telemetry import MASK

# Every transport name of kombu but one, which tells upper case from lower case; a test compares.
_BROKER_SCHEMES: Final = frozenset(
    (
        *("amqp", "amqps", "pyamqp", "librabbitmq", "qpid"),
        *("redis", "rediss"),
        *("sqs", "SQS", "azureservicebus", "azurestoragequeues", "gcpubsub", "kafka", "confluentkafka", "slmq", "SLMQ"),
        *("sqla", "sqlalchemy", "mongodb", "pgmq", "etcd", "consul", "zookeeper", "filesystem", "pyro", "memory"),
    )
)


class SecretUrl(SecretStr):
    """A URL; ``str()`` and ``repr()`` mask its password, :meth:`get_secret_value` does not."""

    def _display(self) -> str:
        return masked(self.get_secret_value())

    @property
    def scheme(self) -> str:
        return self.get_secret_value().partition("://")[0].lower()

    @property
    def passwords(self) -> tuple[str, ...]:
        """The passwords in it as they are written: none, one, or one for each server of a list."""
        return tuple(found[2] for part in _parts(self.get_secret_value()) if (found := _PASSWORD.search(part)))


# Greedy: a password with an unescaped '/' or '@' in it is masked as a whole.
_PASSWORD: Final = re.compile(r"(://[^/:@]*):(.+)@")


def _parts(url: str) -> list[str]:
    """Split a list of servers, which kombu writes as one URL after the other."""
    return re.split(r";(?=[\w+]+://)", url)


def masked(url: str) -> str:
    """Return ``url`` with its passwords masked, and with them any query: brokers take credentials there too."""
    address, mark, _ = ";".join(_PASSWORD.sub(rf"\1:{MASK}@", part) for part in _parts(url)).partition("?")
    return f"{address}{mark}{MASK}" if mark else address


def as_redis_py_reads_it(url: str) -> str:
    """Return the URL with Celery's names for certificate checks (``CERT_REQUIRED``) in redis-py's form."""
    for name in ("required", "optional", "none"):
        url = url.replace(f"ssl_cert_reqs=CERT_{name.upper()}", f"ssl_cert_reqs={name}")
    return url


# Faults do not show what was given: where it is written wrongly, a password cannot be told from the rest.
def parse_broker_url(value: object) -> SecretUrl:
    url = _secret_text(value)
    scheme = url.partition("://")[0].partition("+")[0]
    if "://" not in url:
        raise BadValue("must be a URL such as amqp://user:password@host:5672//")
    if scheme == "sentinel":
        # kombu finds the name of the master in a transport option, for which a URL has no place.
        raise BadValue("cannot be Redis Sentinel; name the master, or a proxy in front of it, as redis://host:6379/0")
    if scheme not in _BROKER_SCHEMES:
        raise BadValue(f"has an unknown scheme {scheme!r}{did_you_mean(scheme, _BROKER_SCHEMES)}")
    _check_address(url)
    return SecretUrl(";".join(map(_checking_certificates, _parts(url))))


def _checking_certificates(url: str) -> str:
    # kombu checks no certificate of Redis that the URL does not tell it to check; redis-py does.
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


def parse_state_url(value: object) -> SecretUrl:
    url = _secret_text(value)
    if re.match(r"rediss?://[^/]", url):
        _check_address(url)
    elif not re.fullmatch(r"sqlite:///(?!/?$)[^?]+", url):
        raise BadValue("must be redis://host:6379/0, or 'sqlite:///' and a path, without a query")
    return SecretUrl(url)


def parse_once_url(value: object) -> SecretUrl | None:
    return None if value is None or value == "" else parse_state_url(value)


def parse_url(value: object, *schemes: str) -> str:
    url = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # as every look-up of a name begins
        address_is_good = bool(host) and parts.port != 0
    except ValueError:
        address_is_good = False
    else:
        if parts.username or parts.password:
            raise BadValue("must not have a user or password in it")
    if not (address_is_good and parts.scheme in schemes):
        raise BadValue(
            f"must be a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}, not {masked(url)!r}"
        )
    return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True when only programs of this machine reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(value: object) -> Address | None:
    """Read ``host:port``; None for ``off``."""
    if value is None or isinstance(value, Address):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() == "off":
        return None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.username or parts.path or parts.query or parts.fragment:
        raise BadValue(f"must be a host and a port such as 127.0.0.1:9420, or 'off', not {value!r}")
    return Address(host, port)


def _secret_text(value: object) -> str:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise BadValue("must be a URL")
    return text.strip()


def _check_address(url: str) -> None:
    try:
        for part in _parts(url):
            address = urlsplit(part)
            _ = address.port
            (address.hostname or "").encode("idna")
    except ValueError:
        raise BadValue("has a bad host or port; write it like amqp://user:password@host:5672//") from None
