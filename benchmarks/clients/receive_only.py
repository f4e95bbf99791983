"""An unmodified discord.py client that only receives: no handler, no cache of messages, no broker.

Arguments: REST base URL, gateway URL, token. Prints ``ready`` once logged in; runs until killed.
"""

import asyncio
import sys

import discord
from yarl import URL


class Receiver(discord.Client):
    async def on_ready(self) -> None:
        print("ready", flush=True)


async def main(api_url: str, gateway_url: str, token: str) -> None:
    discord.http.Route.BASE = api_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url)
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    async with Receiver(intents=intents, max_messages=None) as client:
        await client.start(token)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
