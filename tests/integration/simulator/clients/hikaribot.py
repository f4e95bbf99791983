"""Unmodified hikari: one GatewayBot with all shards."""

import asyncio
from functools import partial

import hikari
from reporting import report, stdin_closed, target_from_stdin

from gateway_service.conformance.loop import FastLoop

# hikari waits one to two seconds before each of its many reconnects.
SPEED = 5


async def main() -> None:
    target = target_from_stdin()
    bot = hikari.GatewayBot(
        target.token,
        rest_url=target.api_url,
        intents=hikari.Intents.ALL,
        banner=None,
        logs=None,
    )

    @bot.listen()
    async def on_resumed(event: hikari.ShardResumedEvent) -> None:
        report("resumed", shard=event.shard.id)

    @bot.listen()
    async def on_message(event: hikari.GuildMessageCreateEvent) -> None:
        report("message", guild=event.guild_id, shard=event.shard.id, content=event.content)

    await bot.start(shard_count=target.num_shards, check_for_updates=False)
    # READY lists the guilds as unavailable; each becomes available with its GUILD_CREATE.
    while bot.cache.get_unavailable_guilds_view() or not bot.cache.get_available_guilds_view():
        await asyncio.sleep(0.01)
    report("ready", shards=list(bot.shards), guilds=list(bot.cache.get_available_guilds_view()), user=str(bot.get_me()))
    await stdin_closed()
    await bot.close()


with asyncio.Runner(loop_factory=partial(FastLoop, SPEED)) as runner:
    runner.run(main())
