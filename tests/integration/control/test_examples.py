"""Every command of docs/control.md, run as it stands there against the two supervisors."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.control_stack import CONTROL_TOKEN, ON_ANY_BROKER
from tests.support.secrecy import seen
from tests.support.worker import ROOT, worker_environment

PAGE = (ROOT / "docs" / "control.md").read_text("utf-8")
EXAMPLES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
STREAM_CUT = 28  # curl's code for --max-time

pytestmark = ON_ANY_BROKER


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_works(stack, example):
    address = f"127.0.0.1:{stack.services[0].control_port()}"
    command = example.replace("127.0.0.1:9420", address).replace(
        "curl ", f"curl --silent --show-error --fail-with-body -H 'Authorization: Bearer {CONTROL_TOKEN}' "
    )
    done = subprocess.run(
        ["bash", "-c", command],
        env={
            **worker_environment(stack.broker_url, "tasks"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
            "GATEWAY_CONTROL_ADDRESS": address,
            "GATEWAY_CONTROL_TOKENS_FILE": str(stack.tokens),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    seen(done.stdout + done.stderr)

    assert done.returncode == (STREAM_CUT if "--max-time" in example else 0), done.stderr
    assert done.stdout


def test_an_answer_has_the_members_that_the_page_shows(stack):
    [shown] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]

    answer = stack.ok("POST /v1/shards/3/restart?wait_s=60")

    assert (answer.keys(), answer["result"]) == (shown.keys(), shown["result"])
