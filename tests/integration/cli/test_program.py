"""The installed program answers at once."""

import subprocess
import sys
from pathlib import Path

from gateway_service.errors import EX_CONFIG, EX_OK
from tests.support.secrecy import seen

_REPORT = """
import sys
from gateway_service.cli.main import run
code = run(["--help"])
print(sorted({name.partition(".")[0] for name in sys.modules} & {"pydantic", "celery", "kombu", "httpx", "websockets"}))
sys.exit(code)
"""


def test_help_loads_nothing_that_it_does_not_need():
    shown = subprocess.run([sys.executable, "-c", _REPORT], capture_output=True, text=True, check=False)

    assert shown.returncode == EX_OK
    assert seen(shown.stdout).splitlines()[-1] == "[]"


def test_a_presence_function_may_be_in_the_working_directory(tmp_path):
    (tmp_path / "my_bot.py").write_text("STATUS = 'idle'\n")
    doctor = [Path(sys.executable).with_name("gateway-service"), "doctor", "--presence", "my_bot:STATUS"]

    shown = subprocess.run(
        doctor, cwd=tmp_path, env={"DISCORD_TOKEN": "abc.def.ghi"}, capture_output=True, text=True, check=False
    )

    assert "presence: 'my_bot:STATUS' is not a function (GATEWAY_PRESENCE)" in seen(shown.stdout + shown.stderr)
    assert shown.returncode == EX_CONFIG


def test_what_is_read_by_a_pipe_that_ends_early_is_no_fault():
    with subprocess.Popen(
        [sys.executable, "-m", "gateway_service", "start", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()

    assert error == b""
