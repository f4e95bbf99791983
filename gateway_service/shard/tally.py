"""What happened to a shard since its process began, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway_service.protocol.effects import NoteName


@dataclass(slots=True)
class Tally:
    """Counters by the names and with the meanings of :class:`~gateway_service.ipc.statuses.ShardStatus`."""

    replayed: int = 0
    duplicates: int = 0
    resumes: int = 0
    identifies: int = 0
    reconnects: int = 0

    def note(self, name: NoteName, fields: Mapping[str, Any]) -> None:
        """Count a note of the machine."""
        match name:
            case "connection.ended":
                self.reconnects += 1
            case "dispatch.duplicate":
                self.duplicates += 1
            case "session.resumed":
                self.resumes += 1
                self.replayed += fields.get("replayed", 0)
            case "session.replayed":
                self.replayed += fields.get("replayed", 0)
