"""What gateway and workers agree on about names and lanes."""

import pytest

from gateway_service.contract import LANES, lane_of, routing_key

GUILD = 41771983423143937


@pytest.mark.parametrize(("guild_id", "lane"), [(None, 0), (0, 0), (1 << 22, 1), (GUILD, 38), (64 << 22, 0)])
def test_the_lane_of_a_guild_comes_from_the_time_in_its_snowflake(guild_id, lane):
    assert lane_of(guild_id) == lane


def test_the_lane_has_two_digits_in_every_routing_key():
    keys = {routing_key("READY", lane << 22) for lane in range(200)}

    assert keys == {f"READY.{lane:02d}" for lane in range(LANES)}


def test_a_dispatch_without_a_guild_is_in_lane_0():
    assert routing_key("MESSAGE_CREATE") == "MESSAGE_CREATE.00"
