"""The record of which dispatches ran as tasks: written by the worker's processes, counted by ``dev``."""

import os
from collections import Counter
from pathlib import Path
from typing import Final

EXECUTIONS_FILE_VARIABLE: Final = "DEV_EXECUTIONS_FILE"
"""Environment variable that tells the worker where to write."""


class ExecutionLog:
    """A file with one dispatch id per line; several processes append to it at once.

    A line is far below the size up to which the system appends atomically, so lines never mix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, dispatch_id: str) -> None:
        os.write(self._descriptor, dispatch_id.encode() + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)


class ExecutionCounter:
    """Read the record as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.runs: Counter[str] = Counter()
        """How often each dispatch ran."""

    def refresh(self) -> None:
        """Count what was appended since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            appended = file.read()
        complete = appended.rfind(b"\n") + 1
        self._offset += complete
        self.runs.update(line.decode() for line in appended[:complete].splitlines())

    @property
    def executed(self) -> int:
        """Dispatches that ran at least once."""
        return len(self.runs)

    @property
    def duplicates(self) -> int:
        """Runs beyond the first of each dispatch."""
        return self.runs.total() - len(self.runs)
