"""A real disk that is small, and full when a test says so. Mounting needs root."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIECE_BYTES = 4096


@contextmanager
def small_disk(at: Path, *, size_kib: int) -> Iterator[Path]:
    """Mount an empty file system of this size at ``at``."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "small", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left, and return the file whose end gives it back."""
    filling = disk / "filling"
    try:
        with filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(_PIECE_BYTES))
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
    return filling
