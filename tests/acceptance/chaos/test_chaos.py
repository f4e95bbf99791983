"""Everything goes wrong, at random and at once; afterwards three counts must agree.

A run of the whole suite meets every trouble once. For longer ones by hand, with another seed:
``./run test tests/acceptance/chaos -s --chaos-minutes 30 --chaos-seed 7``.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway_service.embedded import PrivateRabbitMQ
from tests.acceptance.chaos.account import Account
from tests.acceptance.chaos.stack import SHARDS, Stack, running_stack
from tests.acceptance.chaos.troubles import TROUBLES, Trouble
from tests.support.network import missing_for_namespaces

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]

# Streams of troubles that overlap, and the longest pause of each between two of its troubles. Four that hardly pause
# keep the broker away nearly all the time: for a minute Discord's replay makes up for that, for ten it cannot.
_SHORT_RUN = (4, 2.0)
_LONG_RUN = (2, 8.0)
_LAST_AT_ONCE = 4


@pytest.fixture
def log(tmp_path: Path) -> Callable[[str], None]:
    """Tell what happens when; pytest shows it when the test fails, and ``-s`` always."""
    started_at = time.monotonic()

    def write(line: str) -> None:
        print(f"{time.monotonic() - started_at:7.1f} s  {line}", flush=True)  # noqa: T201 - a report for people

    write(f"logs are in {tmp_path}")
    return write


async def strike(trouble: Trouble, stack: Stack, rng: random.Random, log: Callable[[str], None]) -> None:
    log(f"{trouble.__name__} begins")
    await trouble(stack, rng)
    log(f"{trouble.__name__} is over")


async def stream(
    troubles: Iterator[Trouble], max_pause_s: float, stack: Stack, rng: random.Random, log: Callable[[str], None]
) -> None:
    for trouble in troubles:
        await strike(trouble, stack, rng, log)
        await asyncio.sleep(rng.uniform(0, max_pause_s))


def each_once(rng: random.Random) -> Iterator[Trouble]:
    yield from rng.sample(TROUBLES, len(TROUBLES))


def for_minutes(minutes: float, rng: random.Random) -> Iterator[Trouble]:
    ends_at = time.monotonic() + 60 * minutes
    while time.monotonic() < ends_at:
        yield rng.choice(TROUBLES)


async def test_nothing_is_lost_whatever_goes_wrong(
    rabbitmq: PrivateRabbitMQ,
    rabbitmq_url: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    log: Callable[[str], None],
) -> None:
    if reason := missing_for_namespaces():
        pytest.skip(reason)
    minutes: float = pytestconfig.getoption("chaos_minutes")
    seed: int = pytestconfig.getoption("chaos_seed")
    rng = random.Random(seed)
    troubles = for_minutes(minutes, rng) if minutes else each_once(rng)
    streams, max_pause_s = _LONG_RUN if minutes else _SHORT_RUN

    async with running_stack(rabbitmq, rabbitmq_url, tmp_path, log) as stack:
        traffic = asyncio.create_task(stack.simulator.traffic(pytestconfig.getoption("chaos_rate")))
        async with asyncio.TaskGroup() as group:
            for number in range(streams):
                group.create_task(stream(troubles, max_pause_s, stack, random.Random(f"{seed}.{number}"), log))
        async with asyncio.TaskGroup() as group:
            for trouble in rng.sample(TROUBLES, _LAST_AT_ONCE):
                group.create_task(strike(trouble, stack, rng, log))
        traffic.cancel()

        await stack.shard_pids()
        log("all troubles are over")
        await stack.simulator.wait_for_shards(range(SHARDS), timeout_s=180)
        account = await Account.settled(stack)
        log(str(account))
        assert account.unexplained == frozenset()
        # Over a cut line and out of a frozen process no heartbeat comes; everything else would be our fault.
        assert {record.data for record in stack.simulator.transcript.violations()} <= {"no heartbeat"}
        assert account.identifies == SHARDS + account.lost_sessions
        assert await asyncio.to_thread(stack.service.stop) == 0  # beside the loop that carries its connections

        booked = await asyncio.to_thread(stack.ledger)
        log(f"the service's own account: {booked['totals']}")
        assert booked["balanced"]
        totals = booked["totals"]
        assert totals["published"] == totals["received"] - totals["lost"]
        # What was lost with the memory of a process may have been published without its knowing.
        assert totals["published"] <= account.queued <= totals["received"] + account.unnoted
        assert account.sent - totals["received"] <= account.told + account.unnoted
        assert account.told <= account.sent - totals["published"]
        told = {gap["session"] for gap in stack.queues.bodies.values()}
        assert told >= {each["session"] for each in booked["sessions"] if each["gaps"]}
