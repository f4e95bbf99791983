"""The steps in docs/simulator.md are ones that a scenario takes, and every fault is among them."""

import re
from pathlib import Path

import pytest
import yaml

from gateway_service.simulator.scenario import Step
from gateway_service.simulator.verbs import VERBS

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text("utf-8")
STEPS = re.findall(r"`(\{do: .*?\})`(?: |$)", PAGE, re.MULTILINE)
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("step", STEPS)
def test_a_documented_step_is_a_step(step):
    assert Step.parse(yaml.safe_load(step))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_documented_scenario_is_a_scenario(block):
    assert [Step.parse(step) for step in yaml.safe_load(block)["steps"]]


def test_every_fault_is_documented():
    assert {yaml.safe_load(step)["do"] for step in STEPS} == {*VERBS, "thaw"}
