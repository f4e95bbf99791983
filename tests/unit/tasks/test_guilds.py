import logging

import pytest

from gateway_service import Dispatch
from tasks.guilds import note_membership, thanks
from tasks.rest import Post


def dispatch(kind):
    return Dispatch(
        event="GUILD_CREATE", bot_id="100", shard=(0, 1), seq=1, session="s", guild_id=10, received_at=0.0, kind=kind
    )


def test_a_guild_that_added_the_bot_is_thanked():
    guild = {"id": "10", "system_channel_id": "20"}

    assert thanks(guild, dispatch("join")) == Post(channel_id="20", content="Thanks for having me!", nonce="join-10")


@pytest.mark.parametrize("kind", ["startup", "recovered", "outage", "left", None])
def test_a_guild_that_was_there_before_is_not_thanked(kind):
    assert thanks({"id": "10", "system_channel_id": "20"}, dispatch(kind)) is None


@pytest.mark.parametrize("guild", [{"id": "10"}, {"id": "10", "system_channel_id": None}])
def test_without_a_system_channel_nothing_is_said(guild):
    assert thanks(guild, dispatch("join")) is None


@pytest.mark.parametrize(
    ("kind", "lines"), [("join", ["guild 10: join"]), ("left", ["guild 10: left"]), ("startup", []), ("outage", [])]
)
def test_only_joins_and_leaves_are_noted(caplog, kind, lines):
    with caplog.at_level(logging.INFO, "tasks.guilds"):
        note_membership({"id": "10"}, dispatch(kind))

    assert caplog.messages == lines
