"""What belongs to one WebSocket connection and ends with it: decompression, heartbeats, the send limit."""

from collections.abc import Callable
from math import inf

from gateway_service.protocol import commands
from gateway_service.protocol.constants import Compression
from gateway_service.protocol.effects import Effect, Note, NoteName, Send
from gateway_service.protocol.heartbeat import Heartbeater, Tick
from gateway_service.protocol.inflate import make_inflater
from gateway_service.protocol.ratelimit import SendLimiter


class Wire:
    """One open connection, seen from the protocol."""

    __slots__ = (
        *("compression", "dispatched_at", "feed", "heard_at", "heartbeater", "is_resumed", "limiter", "replayed_to"),
        *("seq", "skips"),
    )

    def __init__(self, compression: Compression) -> None:
        self.compression = compression
        self.feed: Callable[[bytes | str], bytes | None] = make_inflater(compression).feed
        self.heard_at: float | None = None
        """When the last frame arrived, whatever it held: any frame proves liveness (H6)."""
        self.dispatched_at = -inf
        """When the last dispatch arrived, or RESUME asked for some: ACKs alone are no replay (C8)."""
        self.seq = 0
        """Of the last dispatch that was not simply the next one: replayed again, or skipped."""
        self.replayed_to = 0
        """Of the last dispatch that is not to be counted as replayed any more, once RESUME was sent."""
        self.is_resumed = False
        """True once a RESUMED was here, which is not the one that ends the replay when another one follows."""
        self.skips = False
        """True once a dispatch was unreadable in the replay as well: it is Discord that writes such texts."""
        self.heartbeater: Heartbeater | None = None
        """None until HELLO."""
        self.limiter = SendLimiter()

    def start_heartbeat(self, interval_s: float, now: float, jitter: float) -> None:
        """Begin the heartbeat cycle that HELLO asked for."""
        self.heartbeater = Heartbeater.start(interval_s, now, jitter)
        self.limiter.reserve_heartbeats(interval_s)

    def resumed(self, seq: int | None, received_seq: int) -> tuple[Note, ...]:
        """Take a RESUMED and tell how many dispatches before it were replayed.

        Discord numbers it, so an earlier one is replayed as well, and nothing in it says so. Only a newer one behind it
        does, because a connection that resumes gets one of its own.
        """
        if self.is_resumed and (seq or 0) <= self.replayed_to:
            return ()
        name: NoteName = "session.replayed" if self.is_resumed else "session.resumed"
        note = Note(name, {"replayed": received_seq - self.replayed_to})
        self.replayed_to, self.is_resumed = received_seq, True
        return (note,)

    def ignore_frames(self) -> None:
        """Take frames as signs of life only."""
        self.feed = _nothing

    def tick(self, heartbeater: Heartbeater, now: float, seq: int | None) -> tuple[Effect, ...] | Tick:
        """Serve the heartbeat deadline: what to send, or the tick that says the connection is dead."""
        tick = heartbeater.tick(now, now if self.heard_at is None else self.heard_at)
        if tick in (Tick.ZOMBIE, Tick.LATE):
            return tick
        if not self.limiter.take_vital(now):
            return (Note("heartbeat.suppressed", {"requested": False}),)
        heartbeater.beat_sent(now)
        beat = Send(commands.heartbeat(seq))
        if tick is Tick.BEAT_AND_ALARM:
            return beat, Note("heartbeat.acks_missing", {"missed": heartbeater.missed_acks})
        return (beat,)

    def answer(self, now: float, seq: int | None) -> tuple[Effect, ...]:
        """Answer the server's heartbeat request at once (H4)."""
        if not self.limiter.take_answer(now):
            return (Note("heartbeat.suppressed", {"requested": True}),)
        if self.heartbeater is not None:
            self.heartbeater.answer_sent(now)
        return (Send(commands.heartbeat(seq)),)


def _nothing(_frame: bytes | str) -> None:
    return None
