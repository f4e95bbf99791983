"""Every fault of the simulator against our own shard; docs/simulator.md shows the command."""

import json
import subprocess
import sys

DEADLINE_S = 240
RUN = [sys.executable, "-m", "gateway_service.simulator.conformance"]


def test_every_fault_has_the_expected_reaction():
    result = subprocess.run([*RUN, "--json"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    rows = json.loads(result.stdout)

    assert [row for row in rows if not row["ok"]] == []
    assert {row["fault"] for row in rows} == {f"F{number}" for number in range(1, 20)}
    assert result.returncode == 0


def test_one_fault_can_be_played_and_is_shown_as_a_table():
    result = subprocess.run([*RUN, "--only", "F9"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert result.returncode == 0, result.stderr
    assert "3 reactions in" in result.stdout


def test_an_unknown_fault_is_told():
    result = subprocess.run([*RUN, "--only", "F20"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert result.returncode == 2
    assert "--only: no fault F20; known are F1 to F19" in result.stderr
