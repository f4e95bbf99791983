"""The example tasks on the Discord double, run as a worker runs them."""

import asyncio
import logging

import pytest

from gateway_service import Dispatch
from gateway_service.errors import ConfigurationError
from gateway_service.simulator import ScriptedAnswer, Simulator, SimulatorConfig
from tasks import interactions, messages, rest

DISPATCH = Dispatch(event="", bot_id="100", shard=(0, 1), seq=1, session="s", guild_id=None, received_at=0.0)


@pytest.fixture
async def sim(monkeypatch):
    async with Simulator(SimulatorConfig(shards=1, guilds=2)) as sim:
        monkeypatch.setenv("GATEWAY_API_URL", sim.api_url)
        monkeypatch.setenv("DISCORD_TOKEN", sim.token)
        rest.discord.cache_clear()
        yield sim
        rest.discord().close()
        rest.discord.cache_clear()


def ping_in(sim):
    channel_id = sim.hub.world.text_channel_id(sim.guild_ids[0])
    return {"id": "1", "channel_id": str(channel_id), "content": "!ping", "author": {"id": "3"}}


async def test_discord_takes_the_pong(sim):
    await asyncio.to_thread(messages.answer_ping, ping_in(sim), DISPATCH)


@pytest.mark.usefixtures("sim")
async def test_a_command_that_is_handled_twice_is_answered(caplog):
    interaction = {"id": "1", "token": "secret", "application_id": "5", "type": 2, "data": {"name": "ping"}}

    with caplog.at_level(logging.INFO):
        await asyncio.to_thread(interactions.answer_command, interaction, DISPATCH)
        await asyncio.to_thread(interactions.answer_command, interaction, DISPATCH)

    assert "secret" not in caplog.text


async def test_a_rate_limit_is_waited_out(sim):
    ping = ping_in(sim)
    limited = ScriptedAnswer(status=429, body=b'{"retry_after":0.2}', headers={"Content-Type": "application/json"})
    sim.answer(f"/channels/{ping['channel_id']}/messages", limited)

    with pytest.raises(rest.TryAgain) as refused:  # called directly, Celery raises what the retry is for
        await asyncio.to_thread(messages.answer_ping, ping, DISPATCH)

    assert refused.value.retry_after_s == 0.2


def test_without_a_token_it_says_so_in_one_sentence(monkeypatch):
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)
    rest.discord.cache_clear()

    with pytest.raises(ConfigurationError, match=r"^DISCORD_TOKEN: is not set; "):
        rest.discord()
