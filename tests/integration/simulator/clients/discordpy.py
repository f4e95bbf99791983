"""Unmodified discord.py: `client` runs one Client per shard, `autosharded` one AutoShardedClient for all."""

import asyncio
import sys

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route
from reporting import Target, report, stdin_closed, target_from_stdin


class Reporting:
    """The same event handlers for both kinds of client."""

    async def before_identify_hook(self, shard_id, *, initial=False):
        """Identify at once: the library's own 5 s ignore max_concurrency."""

    async def on_ready(self):
        shards = [self.shard_id] if self.shard_id is not None else list(self.shards)
        report("ready", shards=shards, guilds=[guild.id for guild in self.guilds], user=str(self.user))

    async def on_resumed(self):
        if self.shard_id is not None:
            report("resumed", shard=self.shard_id)

    async def on_shard_resumed(self, shard_id):
        report("resumed", shard=shard_id)

    async def on_message(self, message):
        report("message", guild=message.guild.id, shard=message.guild.shard_id, content=message.content)


class Single(Reporting, discord.Client):
    pass


class AutoSharded(Reporting, discord.AutoShardedClient):
    pass


def clients(kind: str, target: Target) -> list[discord.Client]:
    options = {"intents": discord.Intents.all(), "shard_count": target.num_shards}
    if kind == "client":
        return [Single(shard_id=shard_id, **options) for shard_id in range(target.num_shards)]
    return [AutoSharded(**options)]


async def run(client: discord.Client, token: str) -> None:
    try:
        await client.start(token)
    except Exception as exc:
        report("failed", error=type(exc).__name__)
        raise


async def main() -> None:
    target = target_from_stdin()
    Route.BASE = target.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(target.gateway_url)
    running = clients(sys.argv[1], target)
    async with asyncio.TaskGroup() as tasks:
        for client in running:
            tasks.create_task(run(client, target.token))
        await stdin_closed()
        for client in running:
            await client.close()


asyncio.run(main())
