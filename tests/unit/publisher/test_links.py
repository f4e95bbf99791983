"""Which link serves a URL, and what of a URL is shown."""

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.publisher import make_link
from gateway_service.publisher.amqp import AmqpLink
from gateway_service.publisher.borders import place_of
from gateway_service.publisher.kombu_generic import KombuLink
from gateway_service.publisher.redis import RedisLink


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
    assert isinstance(make_link(url, "host"), link)


@pytest.mark.parametrize("url", ["localhost", "", "://x", "carrier-pigeon://x"])
def test_what_is_no_broker_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="broker_url"):
        make_link(url, "host")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("amqp://user:secret@host:5672/vhost", "amqp://host:5672/vhost"),
        ("amqp://u:secret@one;amqp://u:secret@two:1//", "amqp://one/;amqp://two:1//"),
        ("redis://:secret@host:6379/0?password=secret", "redis://host:6379/0"),
        ("memory://", "memory:///"),
    ],
)
def test_a_place_shows_no_password(url: str, place: str) -> None:
    assert place_of(url) == place
