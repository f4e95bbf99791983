"""docs/tutorial.md does what it says: its files are written and its commands run, block by block."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.secrecy import seen
from tests.support.worker import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"
TIMEOUT_S = 120


def test_every_block_works(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "CELERY_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    blocks = re.findall(r"^```(py|sh)\n(.*?)^```$", TUTORIAL.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["sh", "py", "py", "py", "sh", "sh"]

    for language, text in blocks:
        if language == "py":
            name = text.splitlines()[0].removeprefix("# ")
            (tmp_path / name).write_text(text)
        else:
            done = subprocess.run(
                ["sh", "-euc", text],
                check=False,
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
            assert done.returncode == 0, f"{text}{done.stdout}{done.stderr}"
            seen(done.stdout + done.stderr)
