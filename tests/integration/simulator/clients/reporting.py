"""What every client script does: read where to connect, print what happens as JSON lines."""

import asyncio
import json
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    api_url: str
    gateway_url: str
    token: str
    num_shards: int


def target_from_stdin() -> Target:
    """Read the first line; the token comes this way and not in argv."""
    return Target(**json.loads(sys.stdin.readline()))


def report(happening: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"happening": happening} | facts) + "\n")
    sys.stdout.flush()


async def stdin_closed() -> None:
    """Wait until the test has seen enough."""
    await asyncio.to_thread(sys.stdin.read)
