"""Which link serves a URL, and what of a URL is shown."""

import pytest

from gateway_service.errors import BrokerUnavailable, ConfigurationError
from gateway_service.publisher import make_link
from gateway_service.publisher.amqp import AmqpLink
from gateway_service.publisher.borders import place_of
from gateway_service.publisher.kombu_generic import KombuLink
from gateway_service.publisher.redis import RedisLink
from tests.support.publishing import ORIGIN


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("amqp://", AmqpLink),
        ("amqps://host/vhost", AmqpLink),
        ("pyamqp://host", AmqpLink),
        ("amqp://one;amqp://two", AmqpLink),
        ("redis://localhost:6379/1", RedisLink),
        ("rediss://localhost", RedisLink),
        ("memory://", KombuLink),
        ("filesystem://", KombuLink),
    ],
)
def test_the_scheme_decides(url: str, link: type) -> None:
    assert isinstance(make_link(url, ORIGIN), link)


@pytest.mark.parametrize("url", ["localhost", "", "://x", "carrier-pigeon://x"])
def test_what_is_no_broker_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="broker_url"):
        make_link(url, ORIGIN)


def test_a_transport_without_its_library_is_a_configuration_error() -> None:
    # kombu's transport of Kafka raises NameError then.
    with pytest.raises(ConfigurationError, match="Celery cannot use kafka://"):
        make_link("kafka://host", ORIGIN)


def test_a_transport_that_misses_an_option_says_so() -> None:
    with pytest.raises(BrokerUnavailable, match="master_name"):
        make_link("sentinel://127.0.0.1:1", ORIGIN).connect()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("amqp://user:secret@host:5672/vhost", "amqp://host:5672/vhost"),
        ("amqp://u:secret@one;amqp://u:secret@two:1//", "amqp://one/;amqp://two:1//"),
        ("redis://:secret@host:6379/0?password=secret", "redis://host:6379/0"),
        ("amqp://u:secret@[::1]:5672//", "amqp://[::1]:5672//"),
        ("memory://", "memory:///"),
    ],
)
def test_a_place_shows_no_password(url: str, place: str) -> None:
    assert place_of(url) == place
