"""What goes wrong: each trouble strikes, lasts for a while, and is over when its coroutine returns."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from gateway_service.simulator.faults import Abort, AskReconnect, CloseWith, Freeze, InvalidateSession
from tests.acceptance.chaos.stack import SHARDS, Stack
from tests.support.disk import fill
from tests.support.service import signal_to

Trouble = Callable[[Stack, random.Random], Awaitable[None]]

_HOUR_S: Final = 3600
# Discord's codes that leave the session alive (protocol §10), and those of proxies in between.
_RESUMABLE_CODES: Final = (1000, 1001, 1012, 4000, 4001, 4002, 4008)


async def kill_shard_process(stack: Stack, rng: random.Random) -> None:
    async with stack.service_in_trouble:
        signal_to(rng.choice(await stack.shard_pids()), signal.SIGKILL)


async def freeze_shard_process(stack: Stack, rng: random.Random) -> None:
    async with stack.service_in_trouble:
        pid = rng.choice(await stack.shard_pids())
        signal_to(pid, signal.SIGSTOP)
        await asyncio.sleep(rng.uniform(1, 3))
        signal_to(pid, signal.SIGCONT)


async def kill_supervisor(stack: Stack, rng: random.Random) -> None:  # noqa: ARG001
    async with stack.service_in_trouble:
        signal_to(stack.service.process.pid, signal.SIGKILL)
        await stack.start_service_again()


async def kill_service(stack: Stack, rng: random.Random) -> None:
    """Every process at once, as when the host loses power."""
    async with stack.service_in_trouble:
        await stack.shard_pids()
        stack.service.kill_everything()
        await asyncio.sleep(rng.uniform(0, 2))
        await stack.start_service_again()


async def restart_service(stack: Stack, rng: random.Random) -> None:  # noqa: ARG001
    """A deploy."""
    async with stack.service_in_trouble:
        await stack.shard_pids()
        stack.service.process.terminate()
        await stack.start_service_again()


async def cut_publishers(stack: Stack, rng: random.Random) -> None:  # noqa: ARG001
    stack.relay.cut()


async def restart_broker(stack: Stack, rng: random.Random) -> None:
    async with stack.broker_in_trouble:
        await asyncio.to_thread(stack.rabbitmq.stop)
        await asyncio.sleep(rng.uniform(0, 3))
        await asyncio.to_thread(stack.rabbitmq.start)


async def kill_broker(stack: Stack, rng: random.Random) -> None:
    async with stack.broker_in_trouble:
        await asyncio.to_thread(stack.rabbitmq.kill)
        await asyncio.sleep(rng.uniform(0, 3))
        await asyncio.to_thread(stack.rabbitmq.start)


async def freeze_broker(stack: Stack, rng: random.Random) -> None:
    async with stack.broker_in_trouble:
        stack.rabbitmq.freeze()
        await asyncio.sleep(rng.uniform(2, 8))
        stack.rabbitmq.thaw()


async def raise_memory_alarm(stack: Stack, rng: random.Random) -> None:
    async with stack.broker_in_trouble:
        await asyncio.to_thread(stack.rabbitmq.control, "set_vm_memory_high_watermark", "0.00001")
        await asyncio.sleep(rng.uniform(2, 6))
        await asyncio.to_thread(stack.rabbitmq.control, "set_vm_memory_high_watermark", "0.6")


async def cut_line(stack: Stack, rng: random.Random) -> None:
    async with stack.line_in_trouble:
        stack.network.set(is_cut=True)
        await asyncio.sleep(rng.uniform(1, 8))
        stack.network.set()


async def slow_line(stack: Stack, rng: random.Random) -> None:
    async with stack.line_in_trouble:
        stack.network.set(delay_s=0.2, loss=0.02)
        await asyncio.sleep(rng.uniform(4, 8))
        stack.network.set()


async def fill_disk(stack: Stack, rng: random.Random) -> None:
    async with stack.disk_in_trouble:
        filling = await asyncio.to_thread(fill, stack.disk)
        await asyncio.sleep(rng.uniform(2, 5))
        filling.unlink()


async def set_clock(stack: Stack, rng: random.Random) -> None:
    stack.clock.write_text(str(rng.choice((-1, 1)) * _HOUR_S))
    await asyncio.sleep(rng.uniform(1, 4))
    stack.clock.write_text("0")


async def end_connection(stack: Stack, rng: random.Random) -> None:
    """What Discord does all day: op 7, op 9 ``true``, a close, a cut."""
    faults = (
        AskReconnect(),
        InvalidateSession(resumable=True),
        CloseWith(rng.choice(_RESUMABLE_CODES)),
        Abort(),
        Freeze(),
    )
    stack.simulator.inject(rng.choice(faults), rng.randrange(SHARDS))


async def lose_session(stack: Stack, rng: random.Random) -> None:
    """What costs an IDENTIFY, and a GATEWAY_GAP."""
    stack.simulator.inject(InvalidateSession(resumable=False), rng.randrange(SHARDS))


async def end_all_connections(stack: Stack, rng: random.Random) -> None:  # noqa: ARG001
    stack.simulator.inject(CloseWith(1001))


TROUBLES: Final[tuple[Trouble, ...]] = (
    kill_shard_process,
    freeze_shard_process,
    kill_supervisor,
    kill_service,
    restart_service,
    cut_publishers,
    restart_broker,
    kill_broker,
    freeze_broker,
    raise_memory_alarm,
    cut_line,
    slow_line,
    fill_disk,
    set_clock,
    end_connection,
    lose_session,
    end_all_connections,
)
