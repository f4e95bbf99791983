"""Every fault of the simulator against our own shard; docs/simulator.md shows the command."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gateway_service.conformance.__main__ import main
from tests.support.secrecy import seen

pytestmark = pytest.mark.slow

DEADLINE_S = 240


def test_every_fault_has_the_expected_reaction() -> None:
    command = [sys.executable, "-m", "gateway_service.simulator.conformance", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    seen(result.stderr)
    rows = json.loads(seen(result.stdout))

    assert [row for row in rows if not row["ok"]] == []
    assert {row["fault"] for row in rows} == {f"F{number}" for number in range(1, 20)}
    assert result.returncode == 0


def test_one_fault_can_be_played_and_is_shown_as_a_table(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "gateway_service.simulator")  # as the program does; caplog undoes it

    result = CliRunner().invoke(main, ["--only", "F9"])

    assert result.exit_code == 0, result.output
    assert "3 reactions in" in seen(result.output)


def test_an_unknown_fault_is_told() -> None:
    result = CliRunner().invoke(main, ["--only", "F20"])

    assert result.exit_code == 2
    assert "--only: no fault F20; known are F1 to F19" in result.stderr
