"""The publisher thread: carries the outbox to the broker for as long as the process lives."""

import logging
import random
import select
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from threading import Event, Thread
from typing import Final

from gateway_service.errors import BrokerUnavailable, MessageTooLarge
from gateway_service.metrics import Histogram
from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.outbox import Outbox
from gateway_service.publisher.ports import Link
from gateway_service.publisher.spans import PublisherSpans
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# After doing something the thread rests so long and then does all that came up meanwhile at once: fewer, larger
# writes, and the receiving thread is not made to hand over the interpreter for every message.
LINGER_S: Final = 0.010
# A link must be polled at least once per second.
POLL_S: Final = 1.0
# How often to look whether a broker that cannot tell us by itself takes messages again.
RECHECK_S: Final = 0.05
BATCH_BYTES: Final = 1024 * 1024

FIRST_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 5.0


class PublisherState(StrEnum):
    """What the publisher thread is doing about its broker."""

    CONNECTING = "connecting"
    UP = "up"
    BLOCKED = "blocked"  # connected; the broker wants no messages now
    DOWN = "down"  # waiting for the next attempt to connect
    STOPPED = "stopped"
    FAILED = "failed"  # a fault of our own code: the process must end


class PublisherThread:
    """Publish what is in the outbox, in order, until the broker has confirmed it.

    A lost connection is made again, with everything unconfirmed published again in its old order; so a message
    may arrive twice, with an equal id, and never not at all.
    """

    def __init__(self, link_factory: Callable[[], Link], outbox: Outbox, spans: PublisherSpans | None = None) -> None:
        """Prepare the thread; :meth:`start` runs it.

        Args:
            link_factory: Makes an unconnected link, one for each attempt to connect.
            outbox: What to publish.
            spans: Traces it; None when nothing is traced.
        """
        self._link_factory = link_factory
        self._outbox = outbox
        self._spans = spans
        self._thread = Thread(target=self._run, name="publisher", daemon=True)
        self._stopping = Event()
        self._flush_until = 0.0
        self._hold_until = 0.0
        self._failures = 0
        self._returned_before = 0
        self._link: Link | None = None
        self.state = PublisherState.CONNECTING
        self.last_error: str | None = None
        """Why the broker could not be used, without secrets; None while all is well."""
        self.failure: BaseException | None = None
        """What ended the thread in state FAILED."""
        self.connects = 0
        self.confirm_latency = Histogram()
        """From reading a dispatch off the socket to its confirm; what an earlier process received counts too."""

    @property
    def returned(self) -> int:
        """How many messages the broker could not route anywhere, not even to the unrouted queue."""
        link = self._link
        return self._returned_before + (link.returned if link is not None else 0)

    def start(self) -> None:
        self._thread.start()

    def stop(self, flush_timeout_s: float) -> bool:
        """Publish and confirm what is left, then end the thread. Blocks; call it off the event loop.

        Returns:
            True when the broker has everything.
        """
        self._flush_until = time.monotonic() + flush_timeout_s
        self._stopping.set()
        self._outbox.bell.ring()
        if self._thread.ident is not None:
            self._thread.join(flush_timeout_s)
            if self._link is not None:  # who tries to connect may hang for long, and has nothing in its hands
                self._thread.join(2 * POLL_S)
        return self._outbox.is_empty

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._connect_and_serve()
        except Exception as exc:  # noqa: BLE001 - whatever it is, our owner must learn of it
            self.failure = exc
            self.last_error = f"a fault of our own: {type(exc).__name__}"
            self._become(PublisherState.FAILED)
            log_event(_log, logging.ERROR, LogEvent.PUBLISHER_FAILED, exc_info=True)
        else:
            self._become(PublisherState.STOPPED)

    def _connect_and_serve(self) -> None:
        """Use one connection until it is lost or we are done."""
        link = self._link_factory()
        self._become(PublisherState.CONNECTING)
        try:
            link.connect()
            self._link = link
            self.connects += 1
            self.last_error = None
            self._serve(link)
        except BrokerUnavailable as exc:
            self.last_error = str(exc)
            self._become(PublisherState.DOWN)
            pending = self._outbox.counts().pending
            log_event(_log, logging.WARNING, LogEvent.BROKER_DISCONNECTED, reason=str(exc), pending=pending)
            if isinstance(exc, MessageTooLarge):
                self._give_up(exc.max_bytes)
        finally:
            self._link = None
            self._returned_before += link.returned
            link.close()
            self._outbox.rewind()
        if self.state is PublisherState.DOWN:
            self._failures += 1
            self._rest(_backoff_s(self._failures))

    def _serve(self, link: Link) -> None:
        outbox = self._outbox
        while True:
            receipts = link.poll()
            if receipts.confirmed:
                # Each batch counts as its first, so that one look at the clock serves all.
                self.confirm_latency.observe(time.time() - receipts.confirmed[0].received_at, len(receipts.confirmed))
                outbox.confirm(receipts.confirmed)
                if self._spans is not None:
                    self._spans.confirmed(receipts.confirmed)
                self._failures = 0
            if receipts.refused:
                self._hold(receipts.refused)
            if self._is_done():
                return
            self._become(PublisherState.UP if link.blocked_reason is None else PublisherState.BLOCKED)
            batch: Sequence[Envelope] = ()
            if outbox.has_waiting and not self._is_holding() and (room := link.room):
                batch = outbox.take(room, BATCH_BYTES)
                if self._spans is not None:
                    self._spans.begin(batch)
                link.send(batch)
            if not (batch and outbox.has_waiting and link.room):
                self._wait(link, is_busy=bool(batch or receipts))

    def _wait(self, link: Link, *, is_busy: bool) -> None:
        """Sleep until there is something to do."""
        if is_busy:
            time.sleep(LINGER_S)
            return
        outbox, bell = self._outbox, self._outbox.bell
        poller = select.poll()
        poller.register(bell.fileno(), select.POLLIN)
        if (descriptor := link.fileno()) is not None:
            poller.register(descriptor, select.POLLIN | (select.POLLOUT if link.wants_write else 0))
        timeout_s = POLL_S
        if outbox.has_waiting:  # so something keeps us from sending, and more of it is no reason to wake up
            timeout_s = RECHECK_S if descriptor is None or self._hold_until else POLL_S
        else:
            bell.arm()
            if outbox.has_waiting or self._is_done():
                timeout_s = 0.0
            elif self._stopping.is_set():  # a confirm wakes us, the end of the time for it does not
                timeout_s = min(POLL_S, max(0.0, self._flush_until - time.monotonic()))
        poller.poll(timeout_s * 1000)
        bell.silence()

    def _give_up(self, max_bytes: int) -> None:
        """Let go of what the broker never takes: sent again, it would end every connection and hold up all others."""
        for envelope in self._outbox.give_up(max_bytes):
            if self._spans is not None:
                self._spans.given_up(envelope, "larger than the broker takes")
            log_event(
                _log,
                logging.ERROR,
                LogEvent.PUBLISHER_GAVE_UP,
                id=envelope.task_id,
                name=envelope.event,
                shard_id=envelope.shard_id,
                guild_id=envelope.guild_id,
                bytes=envelope.body_bytes,
                max_bytes=max_bytes,
            )

    def _hold(self, refused: Sequence[Envelope]) -> None:
        """Send refused messages again, after those already on their way and not at once: a queue may be full."""
        self._outbox.give_back(refused)
        self._failures += 1
        self._hold_until = time.monotonic() + _backoff_s(self._failures)
        self.last_error = f"the broker refused {len(refused)} messages; is a queue full?"
        log_event(_log, logging.WARNING, LogEvent.PUBLISHER_REFUSED, messages=len(refused))

    def _is_holding(self) -> bool:
        if self._hold_until and not self._outbox.in_flight and time.monotonic() >= self._hold_until:
            self._hold_until = 0.0
            self.last_error = None
        return bool(self._hold_until)

    def _is_done(self) -> bool:
        return self._stopping.is_set() and (self._outbox.is_empty or time.monotonic() >= self._flush_until)

    def _rest(self, duration_s: float) -> None:
        if self._stopping.is_set():
            time.sleep(max(0.0, min(duration_s, self._flush_until - time.monotonic())))
        else:
            self._stopping.wait(duration_s)

    def _become(self, state: PublisherState) -> None:
        if state is not self.state:
            before, self.state = self.state, state
            match state:
                case PublisherState.UP if before is PublisherState.BLOCKED:
                    log_event(_log, logging.INFO, LogEvent.BROKER_UNBLOCKED)
                case PublisherState.UP:
                    log_event(_log, logging.INFO, LogEvent.BROKER_CONNECTED)
                case PublisherState.BLOCKED:
                    reason = self._link.blocked_reason if self._link is not None else None
                    log_event(_log, logging.WARNING, LogEvent.BROKER_BLOCKED, reason=reason)
                case _:
                    pass  # where the state is set, its cause is logged


def _backoff_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row: doubling, and spread over processes."""
    return min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
