"""The JavaScript libraries of the tests: installed once per machine, in a cache folder outside of the tree."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

INSTALL = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
INSTALL_TIMEOUT_S = 180


def node_modules(manifest: Path) -> Path:
    """Return where the packages of a package.json are, for NODE_PATH; skip where they cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    text = manifest.read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway-service-tests"
    folder = cache / f"node-{hashlib.sha256(text).hexdigest()[:16]}"
    if not folder.exists():
        _install(text, folder)
    return folder / "node_modules"


def _install(manifest: bytes, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        (Path(made) / "package.json").write_bytes(manifest)
        try:
            result = subprocess.run(
                INSTALL, cwd=made, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm install took more than {INSTALL_TIMEOUT_S} s")
        if result.returncode != 0:
            pytest.skip(f"npm install failed: {result.stderr.strip().splitlines()[-1:]}")
        try:
            Path(made).rename(folder)
        except OSError:
            assert folder.exists(), "another test run was first"
        else:
            Path(made).mkdir()
