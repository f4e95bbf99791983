"""The installed program answers at once."""

import subprocess
import sys

from gateway_service.errors import EX_OK

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
    assert shown.stdout.splitlines()[-1] == "[]"


def test_what_is_read_by_a_pipe_that_ends_early_is_no_fault():
    with subprocess.Popen(
        [sys.executable, "-m", "gateway_service", "start", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()

    assert error == b""
