"""Which link serves which broker."""

from typing import Final

from gateway_service.errors import ConfigurationError
from gateway_service.publisher.envelope import Origin
from gateway_service.publisher.ports import Link

_AMQP_SCHEMES: Final = frozenset({"amqp", "amqps", "pyamqp"})
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss"})


def make_link(broker_url: str, origin: Origin) -> Link:
    """Return an unconnected link to a broker.

    Args:
        broker_url: A Celery broker URL.
        origin: Who publishes.

    Raises:
        ConfigurationError: The URL has no scheme, or one that Celery cannot use.
    """
    # Imported here so that a process loads the client library of its own broker only.
    scheme, separator, _ = broker_url.partition("://")
    if not separator or not scheme:
        raise ConfigurationError("broker_url: a broker URL begins with a scheme, as in amqp://guest:guest@localhost//")
    if scheme in _AMQP_SCHEMES:
        from gateway_service.publisher.amqp import AmqpLink

        return AmqpLink(broker_url, origin)
    if scheme in _REDIS_SCHEMES:
        from gateway_service.publisher.redis import RedisLink

        return RedisLink(broker_url, origin)
    from gateway_service.publisher.kombu_generic import KombuLink

    return KombuLink(broker_url, origin)
