import pytest

from tasks.members import welcome
from tasks.rest import Post

MEMBER = {"guild_id": "10", "user": {"id": "30"}}


def test_a_member_is_welcomed_and_notified():
    assert welcome(MEMBER, "20") == Post(channel_id="20", content="Welcome, <@30>!", nonce="hi-30", mentions=("30",))


@pytest.mark.parametrize(
    ("member", "channel_id"),
    [
        pytest.param(MEMBER, None, id="no-channel"),
        pytest.param({"user": {"id": "30", "bot": True}}, "20", id="a-bot"),
        pytest.param({}, "20", id="no-user"),
    ],
)
def test_nobody_else_is_welcomed(member, channel_id):
    assert welcome(member, channel_id) is None
