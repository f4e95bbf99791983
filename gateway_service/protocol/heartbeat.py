"""Heartbeats: when to send one, and when silence means that the connection is dead (protocol §4)."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from gateway_service.errors import RemoteProtocolError

MISSED_ACKS_ALARM: Final = 3
_MAX_INTERVAL_MS: Final = 3_600_000
_MAX_OUTSTANDING: Final = 8


class Tick(Enum):
    """What a heartbeat tick asks for."""

    BEAT = auto()
    """Send a heartbeat."""
    BEAT_AND_ALARM = auto()
    """Send a heartbeat, and tell that ACKs stay away although frames arrive (H6)."""
    ZOMBIE = auto()
    """Nothing was heard since the previous beat: the connection is dead (H5)."""
    LATE = auto()
    """We slept for more than an interval: Discord has given us up (H7)."""


def interval_s_from_hello(data: Any) -> float:
    """Return the heartbeat interval that HELLO asks for.

    Raises:
        RemoteProtocolError: There is none, or none that makes sense.
    """
    interval_ms = data.get("heartbeat_interval") if type(data) is dict else None
    if (
        isinstance(interval_ms, bool)
        or not isinstance(interval_ms, int | float)
        or not 1 <= interval_ms <= _MAX_INTERVAL_MS
    ):
        raise RemoteProtocolError("HELLO without a heartbeat interval")
    return float(interval_ms) / 1000  # the wire says milliseconds


@dataclass(slots=True)
class Heartbeater:
    """The heartbeat cycle of one connection; each HELLO starts a fresh one (H1)."""

    interval_s: float
    next_deadline: float
    latency_s: float | None = None
    """Time from the last answered heartbeat to its ACK."""
    missed_acks: int = 0
    """Ticks in a row before which no ACK came."""
    _beat_at: float | None = None
    _acked: bool = True
    _outstanding: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_OUTSTANDING))

    @classmethod
    def start(cls, interval_s: float, now: float, jitter: float) -> "Heartbeater":
        """Begin a cycle; ``jitter`` in [0, 1) spreads the first beats of many clients."""
        return cls(interval_s=interval_s, next_deadline=now + interval_s * jitter)

    def tick(self, now: float, heard_at: float) -> Tick:
        """Serve the deadline that has passed.

        Args:
            now: Monotonic seconds, not before ``next_deadline``.
            heard_at: When the last frame of any kind arrived.
        """
        if now - self.next_deadline > self.interval_s:
            return Tick.LATE
        if not self._acked and self._beat_at is not None and heard_at <= self._beat_at:
            return Tick.ZOMBIE
        self.missed_acks = 0 if self._acked else self.missed_acks + 1
        # Counted from now: after a tick that came late the ACK still has a whole interval to arrive.
        self.next_deadline = now + self.interval_s
        return Tick.BEAT_AND_ALARM if self.missed_acks == MISSED_ACKS_ALARM else Tick.BEAT

    def beat_sent(self, now: float) -> None:
        """The tick's heartbeat went out; an ACK or any frame is due before the next tick."""
        self._beat_at = now
        self._acked = False
        self._outstanding.clear()  # an ACK that took a whole interval is not coming
        self._outstanding.append(now)

    def answer_sent(self, now: float) -> None:
        """A requested heartbeat went out (H4). It is ACKed, too, but its ACK may be due after the next tick."""
        self._outstanding.append(now)

    def ack_received(self, now: float) -> None:
        """An ACK arrived; ACKs come in the order of the beats."""
        self._acked = True
        if self._outstanding:
            self.latency_s = now - self._outstanding.popleft()
