"""The units of deploy/systemd: systemd takes them, their commands are commands, and they may do little."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway_service.cli.worker import worker
from gateway_service.errors import EX_CONFIG, EX_USAGE

UNITS = sorted((Path(__file__).parents[3] / "deploy/systemd").glob("*.service"))
PAGE = Path(__file__).parents[3] / "docs/deploying.md"
PROGRAM = "/opt/gateway-service/bin/gateway-service"
MAX_EXPOSURE = 2.0  # of 10: what systemd calls OK


def analyze(*arguments):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def lines_of(unit, key):
    return re.findall(rf"^{key}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_complain_of(unit, tmp_path):
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))

    done = analyze("verify", "--recursive-errors=no", str(copy))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_may_do_little(unit):
    done = analyze("security", "--offline=true", "--no-pager", str(unit))

    (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) <= MAX_EXPOSURE


@pytest.mark.parametrize("unit", [unit for unit in UNITS if "flower" not in unit.name], ids=lambda unit: unit.name)
def test_what_cannot_heal_is_not_restarted_and_the_rest_is(unit):
    assert lines_of(unit, "Restart") == ["always"]
    assert lines_of(unit, "RestartPreventExitStatus") == [f"{EX_USAGE} {EX_CONFIG}"]
    assert lines_of(unit, "Type") == ["notify"]
    assert lines_of(unit, "KillMode") == ["mixed"]


def test_workers_get_longer_to_stop_than_they_take():
    (unit,) = [unit for unit in UNITS if "worker" in unit.name]
    program, command, *options = lines_of(unit, "ExecStart")[0].removesuffix(" $WORKER_OPTIONS").split()

    given = worker.make_context(command, options)

    assert program == PROGRAM
    assert given.params["grace_s"] + 10 <= float(lines_of(unit, "TimeoutStopSec")[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/usr/bin/id -un", {"nobody"}),
        ("/usr/bin/env", {"DISCORD_TOKEN=abc.def.ghi", 'GATEWAY_PRESENCE={"status": "idle"}'}),
    ],
    ids=["user", "variables"],
)
def test_what_the_page_tells_to_type_runs_as_the_user_of_the_service_with_its_settings(program, expected, tmp_path):
    (block,) = re.findall(r"```sh\n((?:(?!```).)*runuser.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "discord-token").write_text("abc.def.ghi\n")
    (tmp_path / "gateway.env").write_text("""GATEWAY_PRESENCE='{"status": "idle"}'\n""")
    typed = block.replace(f"{PROGRAM} doctor", program).replace("-u gateway-service", "-u nobody")
    typed = typed.replace("/var/lib/gateway-service", str(tmp_path)).replace("/etc/gateway-service", str(tmp_path))

    done = subprocess.run(["sh", "-euc", typed], capture_output=True, text=True, check=True)

    assert expected <= set(done.stdout.splitlines())


def test_no_unit_has_a_secret_in_it():
    for unit in UNITS:
        for variable in lines_of(unit, "Environment"):
            assert variable == "DISCORD_TOKEN_FILE=%d/discord-token"
