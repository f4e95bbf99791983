"""Handlers that need the order of a guild's dispatches, for tests of lanes."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from gateway_service import Dispatch, on
from tests.support.recording import record_line


@on("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", bind=True, ordered=True, max_retries=2, default_retry_delay=0)
def in_order(self: Any, data: Any, dispatch: Dispatch) -> None:
    """Take a moment, fail or kill its own process when it is told to, and note the run at its end."""
    time.sleep(data.get("takes_s", 0.0))
    if data.get("fails", 0) > self.request.retries:
        raise self.retry()
    marker = Path(os.environ["TEST_RECORD_FILE"]).with_name(f"killed-{dispatch.seq}")
    if data.get("kills") and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    record_line({"handler": "in_order", "dispatch": dispatch.id, "guild": dispatch.guild_id, "seq": dispatch.seq})
