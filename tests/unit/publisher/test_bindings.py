"""Topic bindings, as RabbitMQ matches them."""

import pytest

from gateway_service.publisher.bindings import Bindings, is_match


@pytest.mark.parametrize(
    ("binding_key", "routing_key"),
    [
        ("MESSAGE_CREATE.0", "MESSAGE_CREATE.0"),
        ("MESSAGE_CREATE.*", "MESSAGE_CREATE.7"),
        ("*.3", "GUILD_CREATE.3"),
        ("#", "MESSAGE_CREATE.0"),
        ("#", ""),
        ("MESSAGE_CREATE.#", "MESSAGE_CREATE.0"),
        ("MESSAGE_CREATE.#", "MESSAGE_CREATE"),
        ("#.0", "MESSAGE_CREATE.0"),
        ("#.0", "0"),
        ("a.#.b", "a.b"),
        ("a.#.b", "a.x.y.b"),
        ("*.#", "a"),
    ],
)
def test_a_binding_wants(binding_key: str, routing_key: str) -> None:
    assert is_match(binding_key, routing_key)


@pytest.mark.parametrize(
    ("binding_key", "routing_key"),
    [
        ("MESSAGE_CREATE.0", "MESSAGE_CREATE.1"),
        ("MESSAGE_CREATE.*", "MESSAGE_CREATE"),
        ("MESSAGE_*.0", "MESSAGE_CREATE.0"),
        ("*", "MESSAGE_CREATE.0"),
        ("*.3", "GUILD_CREATE.33"),
        ("MESSAGE.CREATE", "MESSAGE_CREATE"),
        ("a.#.b", "a.x"),
    ],
)
def test_a_binding_does_not_want(binding_key: str, routing_key: str) -> None:
    assert not is_match(binding_key, routing_key)


def test_a_queue_with_several_fitting_bindings_gets_one_copy() -> None:
    bindings = Bindings([("a.*", "q"), ("#", "q"), ("b.*", "other")])

    assert bindings.queues_for("a.0") == ("q",)


def test_nobody_wants_what_is_not_bound() -> None:
    assert Bindings([("a.*", "q")]).queues_for("b.0") == ()


def test_kombus_set_on_redis_is_read() -> None:
    members = [b"a.*\x06\x16^a\\.[^\\.]+$\x06\x16default.a", b"\x06\x16\x06\x16"]

    assert Bindings.from_kombu(members).queues_for("a.0") == ("default.a",)
