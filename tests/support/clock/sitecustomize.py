"""A wall clock that a test can set: with this folder on PYTHONPATH, ``time.time`` is off by what a file says.

The monotonic clock stays as it is, just as when an operator or NTP sets the clock of a host.
"""

import os
import time
from pathlib import Path

_FILE = Path(os.environ["TEST_CLOCK_FILE"])
_REREAD_S = 0.2

_true_time = time.time
_offset_s = 0.0
_read_at = -_REREAD_S


def _time() -> float:
    global _offset_s, _read_at  # noqa: PLW0603 - the state of a clock
    if time.monotonic() - _read_at >= _REREAD_S:
        _read_at = time.monotonic()
        _offset_s = float(_FILE.read_text() or 0)
    return _true_time() + _offset_s


time.time = _time
