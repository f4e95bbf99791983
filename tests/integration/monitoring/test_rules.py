"""Alert rules and dashboards, as files."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.prometheus import ALERTS, DASHBOARDS, ROOT, expressions, program, rules

HERE = Path(__file__).parent


def test_every_rule_is_one():
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_raised_by_its_fault_and_by_nothing_less(tmp_path):
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(HERE / "alerts_test.yml", tmp_path)

    done = subprocess.run(
        [program("promtool"), "test", "rules", "alerts_test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)$", (HERE / "alerts_test.yml").read_text(), re.MULTILINE))
    assert tested == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_has_a_runbook(rule):
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)

    assert anchor == rule["alert"].lower()
    assert anchor in [heading.lower() for heading in headings]
    assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.parametrize("page", ["alerts.md", "deploying.md"])
def test_the_links_of_a_page_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text("utf-8")

    for target, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
        linked = ROOT / "docs" / (target or page)
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]


def test_everything_asks_for_one_bot():
    for expression in expressions():
        assert len(re.findall(r"\bgateway_\w+", expression)) == expression.count('bot=~".*"'), expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_told_from_others_and_fits_into_a_configmap(path):
    board = json.loads(path.read_text())

    assert board["uid"] == f"gateway-{path.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in board["panels"])
    assert path.stat().st_size < 2**18


def test_the_dashboard_of_one_shard_is_that_of_one_bot():
    (board,) = (path for path in DASHBOARDS if path.stem == "shard")
    variables = {each["name"]: each for each in json.loads(board.read_text())["templating"]["list"]}

    assert not any(variables[name]["multi"] or variables[name]["includeAll"] for name in ("bot", "shard"))
