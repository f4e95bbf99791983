"""Handlers for every event of a corpus: each run is recorded with the data exactly as the handler got it."""

import json
import os
from pathlib import Path
from typing import Any

from gateway_service import Dispatch, on
from gateway_service.simulator.corpus import read
from tests.support.worker import CORPUS_VARIABLE, RECORD_VARIABLE


@on(*sorted({recorded.event for recorded in read(Path(os.environ[CORPUS_VARIABLE]))}))
def record(data: Any, dispatch: Dispatch) -> None:
    line = json.dumps({"id": dispatch.id, "event": dispatch.event, "guild_id": dispatch.guild_id, "data": data})
    with Path(os.environ[RECORD_VARIABLE]).open("a") as file:
        file.write(line + "\n")
