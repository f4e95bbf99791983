import pytest

from gateway_service.testing import dispatch_fixture
from tasks.messages import reply_to
from tasks.rest import Post

PING = {"id": "10", "channel_id": "20", "content": "!ping", "author": {"id": "30"}}


def test_a_ping_is_answered_where_it_was_written():
    assert reply_to(PING) == Post(channel_id="20", content="pong", nonce="ping-10", reply_to="10")


def test_a_ping_as_discord_sends_it_is_answered():
    message, _ = dispatch_fixture("MESSAGE_CREATE", content="!ping")

    assert reply_to(message).reply_to == message["id"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"content": "hello"}, id="other-content"),
        pytest.param({"content": ""}, id="no-content-intent"),
        pytest.param({"author": {"id": "30", "bot": True}}, id="a-bot"),
        pytest.param({"webhook_id": "40"}, id="a-webhook"),
    ],
)
def test_anything_else_is_not_answered(change):
    assert reply_to(PING | change) is None


def test_a_message_without_anything_is_not_answered():
    assert reply_to({}) is None


def test_a_nonce_is_as_short_as_discord_wants_it():
    longest = PING | {"id": str(2**64 - 1)}

    assert len(reply_to(longest).nonce) <= 25
