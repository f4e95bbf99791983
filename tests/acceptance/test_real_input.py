"""Recorded and odd dispatches, end to end: the task receives what was sent, field by field."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_service.contract import session_hash, task_id_for
from gateway_service.simulator import Simulator, SimulatorConfig
from tests.data import generate
from tests.support.service import running_service
from tests.support.waiting import until
from tests.support.worker import CORPUS_VARIABLE, ROOT, Worker, running_worker

pytestmark = pytest.mark.rabbitmq

RECORDED = ROOT.parent / "shared" / "corpus"


def executed(worker: Worker) -> dict[str, Any]:
    """Return what the handlers got, by dispatch id."""
    return {run["id"]: (run["event"], run["data"]) for run in worker.records()}


@pytest.fixture(params=["recorded", "generated"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Dispatches recorded from a server that is not ours, where they lie beside the project, and our own odd ones."""
    if request.param == "generated":
        directory = tmp_path / "corpus"
        directory.mkdir()
        return generate.write(directory)
    if not RECORDED.exists():
        pytest.skip("no recorded corpus lies beside the project; the generated one stands in for it")
    return RECORDED


async def test_a_task_receives_every_dispatch_as_it_was_sent(
    corpus: Path, rabbitmq_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CORPUS_VARIABLE, str(corpus))  # for the worker process
    async with Simulator(SimulatorConfig(shards=2, max_concurrency=2)) as simulator:
        with (
            running_worker(
                rabbitmq_url, tmp_path / "worker", "tests.support.every_event_tasks", "-P", "solo"
            ) as worker,
            running_service(simulator, rabbitmq_url, tmp_path / "service", "--shard-count", "2"),
        ):
            await simulator.wait_for_shards([0, 1])

            sent = {
                task_id_for(session_hash(played.session_id), played.seq): (played.recorded.event, played.recorded.data)
                for played in simulator.corpus(corpus)
            }
            await until(lambda: sent.keys() <= executed(worker).keys())

            received = executed(worker)
            assert len(sent) >= 27
            # Compared as text, because Python holds 1 == 1.0 == True and -0.0 == 0.
            assert {task_id: json.dumps(received[task_id]) for task_id in sent} == {
                task_id: json.dumps([event, data]) for task_id, (event, data) in sent.items()
            }
