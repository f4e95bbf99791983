"""Interactions in a real worker, and what a simulated Discord hears of them."""

import asyncio
import json
import subprocess
import time

from gateway_service.simulator import ScriptedAnswer, Simulator, SimulatorConfig
from tests.support.secrecy import seen
from tests.support.waiting import until
from tests.support.worker import ROOT, celery_command, publish, running_worker, worker_environment

TASKS = "tests.support.interaction_tasks"
DISCORD_EPOCH_S = 1_420_070_400


def interaction(age_s=0.0, **more):
    made_ms = round((time.time() - age_s - DISCORD_EPOCH_S) * 1000)
    return {"id": str(made_ms << 22), "type": 2, "token": f"secret-{made_ms}", **more}


async def test_an_interaction_is_deferred_in_time_and_let_go_when_it_is_dead(valkey_url, tmp_path):
    async with Simulator(SimulatorConfig(shards=1)) as simulator:
        with running_worker(valkey_url, tmp_path, TASKS, "-c", "2", GATEWAY_API_URL=simulator.api_url) as worker:
            late = publish(valkey_url, "INTERACTION_CREATE", json.dumps(interaction(age_s=1000)).encode())
            await until(lambda: worker.log.count("expired: 10") == 2)

            fresh = interaction(wish="retry")
            handled = publish(valkey_url, "INTERACTION_CREATE", json.dumps(fresh).encode())
            # The retry hears from Discord that it is deferred already, and goes on.
            await until(lambda: len(worker.runs(handled, "deferred")) == 2)

            unknown = interaction()
            gone = ScriptedAnswer(status=404, body=b'{"code":10062}', headers={"Content-Type": "application/json"})
            simulator.answer(f"/interactions/{unknown['id']}/{unknown['token']}/callback", gone)
            forgotten = publish(valkey_url, "INTERACTION_CREATE", json.dumps(unknown).encode())
            await until(lambda: "expired: Discord does not know it any more" in worker.log)

            measured = await asyncio.to_thread(inspected, valkey_url)

    assert worker.runs(late) == []
    assert simulator._rest.api.answered_interactions == {fresh["id"]}
    assert worker.runs(forgotten, "deferred") == []
    assert "secret-" not in worker.log
    assert (measured["expired"], measured["late"]["> 5 s"], sum(measured["late"].values())) == (3, 2, 6)


def inspected(url):
    """Ask the worker as an operator does."""
    asked = subprocess.run(
        celery_command("inspect", "interaction_lateness", "--json"),
        check=True,
        cwd=ROOT,
        env=worker_environment(url, TASKS),
        capture_output=True,
        text=True,
    )
    [measured] = json.loads(seen(asked.stdout + asked.stderr)).values()
    return measured
