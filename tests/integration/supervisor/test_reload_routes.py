"""SIGHUP: a running service goes by new routes, on the connection that it has."""

import asyncio
import json
import signal
from itertools import count

import pytest

from gateway_service.contract import UNROUTED_QUEUE
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.support.service import running_service
from tests.support.waiting import TIMEOUT_S, until
from tests.support.worker import take

pytestmark = pytest.mark.usefixtures("valkey_url")


def published(url):
    """Take the names of what was published since the last time; nobody subscribes to anything."""
    names = []
    while (message := take(url, UNROUTED_QUEUE)) is not None:
        names.append(message.headers["event"])
    return names


async def test_new_routes_hold_at_once_and_bad_ones_not_at_all(valkey_url, tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text('[routes]\n"DROPPED_FIRST" = { drop = true }\n')
    seen = []
    numbers = count()

    async def arrives(sim, *events):
        """Emit dispatches and return what is published of them, up to the last."""
        for event in events:
            sim.emit(event, {})
        last = events[-1]

        def has_come():
            seen.extend(published(valkey_url))
            return last in seen

        await until(has_come)
        names = [name for name in seen if name.startswith("DROPPED_")]
        seen.clear()
        return names

    async with Simulator(SimulatorConfig(shards=1, guilds=1, identify_window_s=0)) as sim:
        flags = ("--shard-count", "1", "--config", str(config))
        with running_service(sim, valkey_url, tmp_path, *flags, environment={"GATEWAY_LOG_FORMAT": "json"}) as service:
            await sim.wait_for_shards([0], timeout_s=60)
            assert await arrives(sim, "DROPPED_FIRST", "DROPPED_THEN", "ONE") == ["DROPPED_THEN"]

            config.write_text('[routes]\n"DROPPED_THEN" = { drop = true }\n')
            service.process.send_signal(signal.SIGHUP)
            await until(lambda: '"routes.applied"' in service.log)
            async with asyncio.timeout(TIMEOUT_S):  # the shards were told, and hear it a moment later
                while await arrives(sim, "DROPPED_THEN", f"PROBE_{next(numbers)}"):
                    pass
            assert await arrives(sim, "DROPPED_FIRST", "DROPPED_THEN", "TWO") == ["DROPPED_FIRST"]

            config.write_text('[routes]\n"DROPPED_*" = { lanes = 3 }\n')
            service.process.send_signal(signal.SIGHUP)
            await until(lambda: '"routes.refused"' in service.log)
            assert await arrives(sim, "DROPPED_FIRST", "DROPPED_THEN", "THREE") == ["DROPPED_FIRST"]

            log = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
        assert [line["event"] for line in log if line.get("event") == "session.opened"] == ["session.opened"]
        [refused] = [line for line in log if line.get("event") == "routes.refused"]
        assert "'DROPPED_*': lanes must be one of" in refused["reason"]
