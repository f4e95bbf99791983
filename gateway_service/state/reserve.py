"""Room on the disk of the state file for the day on which somebody fills it.

A session that cannot be saved is lost with its process, and nobody could tell whose dispatches went with it. So some
room is kept, and given up when there is no other: rows are replaced in their place, so what follows needs hardly more.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

# SQLite's log grows to 4 MiB before it begins anew, and so may the new part of the file itself.
# See SQLite: PRAGMA wal_autocheckpoint
SIZE_BYTES: Final = 8 * 1024 * 1024
# So much stays free beside it: on a disk with less, the reserve itself would be what is missing.
_SPARE_BYTES: Final = SIZE_BYTES
_REFILL_S: Final = 5.0


class Reserve:
    """A file that holds nothing but room. Several processes share it: whoever needs the room first takes it."""

    def __init__(self, state_path: Path) -> None:
        self._path = state_path.with_name(f"{state_path.name}.reserve")
        self._fill_at = 0.0

    def fill(self) -> None:
        """Set the room aside if it is not, and the disk has it; looks every few seconds at most and never raises."""
        now = time.monotonic()
        if now < self._fill_at:
            return
        self._fill_at = now + _REFILL_S
        with contextlib.suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if self._path.exists() or disk.f_bavail * disk.f_frsize < SIZE_BYTES + _SPARE_BYTES:
                return
            try:
                self._path.touch(mode=0o600)
                self._path.write_bytes(bytes(SIZE_BYTES))
            except OSError:
                self._path.unlink(missing_ok=True)

    def spend(self) -> bool:
        """Give the room up; False when there is none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
