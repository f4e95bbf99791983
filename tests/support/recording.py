"""What the handlers of test workers write about each of their runs."""

import json
import os
from pathlib import Path
from typing import Any

from gateway_service import Dispatch
from tests.support.worker import RECORD_VARIABLE


def record_line(line: dict[str, Any]) -> None:
    with Path(os.environ[RECORD_VARIABLE]).open("a") as file:
        file.write(json.dumps(line) + "\n")


def record(handler: str, dispatch: Dispatch, data: Any, **more: Any) -> None:
    record_line(
        {
            "handler": handler,
            "dispatch": dispatch.id,
            "data": data,
            "event": dispatch.event,
            "shard": dispatch.shard,
            "guild_id": dispatch.guild_id,
            "received_at": dispatch.received_at,
            "kind": dispatch.kind,
            "pid": os.getpid(),
            **more,
        }
    )
