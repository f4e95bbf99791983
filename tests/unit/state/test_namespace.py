import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.state import Namespace, open_state
from gateway_service.state.namespace import bot_id_of


@pytest.mark.parametrize(
    ("token", "bot_id"),
    [
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.signature", "123456789012345678"),
        ("MTEwMDAwMDAwMDAwMDAwMDAwMA.x.y", "1100000000000000000"),
        ("MTEwMDAwMDAwMDAwMDAwMDAwMA==.x.y", "1100000000000000000"),
    ],
)
def test_a_token_begins_with_the_id_of_its_bot(token, bot_id):
    assert bot_id_of(token) == bot_id


@pytest.mark.parametrize("token", ["", "a", "simulated", "bm90IGRpZ2l0cw.x", "é.x", "2LnYpQ.x"])
def test_another_token_gives_a_stable_name_that_does_not_show_it(token):
    assert len(bot_id_of(token)) == 16
    assert bot_id_of(token) == bot_id_of(token)


def test_two_tokens_of_one_bot_share_a_namespace():
    assert Namespace.of("MTIz.a.b", 4) == Namespace.of("MTIz.c.d", 4) == Namespace("123", 4)


@pytest.mark.parametrize(
    "url", ["", "sqlite:///", "sqlite:////", "sqlite://x.db", "postgres://x", "sqlite:///x?mode=ro"]
)
def test_an_unknown_form_of_url_is_a_configuration_error(url):
    with pytest.raises(ConfigurationError, match="state_url"):
        open_state(url, Namespace("1", 1))
