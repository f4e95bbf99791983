"""When the heartbeats of one connection are ACKed: at once, late, or never."""

from collections import deque
from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Acks:
    """Healthy unless told otherwise."""

    delay_s: float = 0.0
    withheld: bool = False
    _late: deque[float] = field(default_factory=deque)

    @property
    def next_deadline(self) -> float:
        """When a late ACK is due."""
        return self._late[0] if self._late else inf

    def is_due_at_once(self, now: float) -> bool:
        """Take a heartbeat and tell whether its ACK is sent now."""
        if self.delay_s and not self.withheld:
            self._late.append(now + self.delay_s)
        return not self.withheld and not self.delay_s

    def is_due(self, now: float) -> bool:
        """Take the oldest late ACK when its time has come."""
        if now < self.next_deadline:
            return False
        self._late.popleft()
        return True
