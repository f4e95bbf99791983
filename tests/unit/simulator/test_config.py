import base64

import pytest

from gateway_service.simulator.config import SimulatorConfig
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.traffic import BUSY, MESSAGES, Traffic


def test_the_token_begins_with_the_bots_id():
    config = SimulatorConfig(bot_id=1234567890)
    assert base64.urlsafe_b64decode(config.token.split(".")[0] + "==") == b"1234567890"


def test_the_token_is_not_shown():
    assert "a.b.c" not in repr(SimulatorConfig(token="a.b.c"))


@pytest.mark.parametrize("name", ["shards", "max_concurrency", "heartbeat_interval_ms", "replay_capacity"])
def test_some_numbers_must_be_positive(name):
    with pytest.raises(ValueError, match=name):
        SimulatorConfig(**{name: 0})


def test_a_world_cannot_be_negative():
    with pytest.raises(ValueError, match="negative"):
        SimulatorConfig(guilds=-1)


@pytest.mark.parametrize("mix", [MESSAGES, BUSY])
def test_the_mixes_can_be_generated(mix):
    Traffic(Hub(SimulatorConfig(), lambda: 0.0), mix)


def test_a_mix_of_the_unknown_is_refused():
    with pytest.raises(ValueError, match="BRAND_NEW"):
        Traffic(Hub(SimulatorConfig(), lambda: 0.0), {"BRAND_NEW": 1})
