"""Arbitrary happenings, malformed frames included, and what must hold whatever happens."""

import json
import zlib
from bisect import bisect_left

import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_service.errors import LocalProtocolError
from gateway_service.protocol.effects import (
    CancelPermit,
    Close,
    Deliver,
    Dial,
    IdentifyAnswered,
    IdentifySent,
    RequestPermit,
    Send,
    Stopped,
)
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.session import Session
from gateway_service.protocol.states import State
from tests.support.machine import payload

CODES = [None, 1000, 1001, 1006, 3000, *range(4000, 4016), 4999]
JUNK = st.sampled_from([None, True, False, 0, -1, 2**70, 0.5, "x", "\ud83d", [], [1], {}, {"id": "5"}, {"guilds": [7]}])
SEQS = st.integers(-1, 12) | st.none() | st.just("1") | st.just(2**64)
EVENTS = st.sampled_from(["READY", "RESUMED", "GUILD_CREATE", "GUILD_DELETE", "MESSAGE_CREATE", "", None, 5])
GUILDS = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2", "x"]), "unavailable": st.sampled_from([True, False, None])}
)
READY = st.fixed_dictionaries(
    {
        "session_id": st.sampled_from(["a", "b", "", None]),
        "resume_gateway_url": st.sampled_from(["wss://r.discord.gg", "ws://clear", None]),
        "guilds": st.lists(GUILDS, max_size=2),
    }
)
HELLO = st.builds(lambda ms: {"heartbeat_interval": ms}, st.sampled_from([1, 50, 5000, 41250, 41250, 41250, None, -1]))
FRAMES = st.one_of(
    st.builds(payload, st.just(10), HELLO),
    st.builds(payload, st.just(0), READY, st.integers(1, 3), st.just("READY")),
    st.builds(payload, st.just(0), st.none(), st.integers(1, 12), st.just("RESUMED")),
    st.builds(payload, st.just(0), GUILDS, SEQS, EVENTS),
    st.builds(payload, st.just(0), JUNK, SEQS, EVENTS),
    st.builds(payload, st.sampled_from([1, 7, 9, 10, 11, 11, 11, 12, 99, -1, True, None, "0"]), JUNK),
    st.binary(max_size=12),
)
NUMBERED = st.builds(
    payload, st.just(0), st.just({}), st.integers(1, 12), st.sampled_from(["A", "GUILD_CREATE", "RESUMED"])
)
HAPPENINGS = st.one_of(
    st.tuples(st.just("receive"), FRAMES, st.sampled_from([1, 1, 1, 1, 130])),
    st.tuples(st.just("receive"), FRAMES, st.just(1)),
    st.tuples(st.just("receive"), NUMBERED, st.just(1)),
    st.tuples(st.just("receive"), NUMBERED, st.just(1)),
    st.tuples(st.just("garbage"), st.binary(max_size=12) | st.text(max_size=5)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 1.0, 5.0, 20.0, 41.25, 100.0, 4000.0])),
    st.tuples(st.just("follow")),
    st.tuples(st.just("follow")),
    st.tuples(st.just("follow")),
    st.tuples(st.just("lost"), st.sampled_from(CODES)),
    st.tuples(st.sampled_from(["start", "connected", "dial_failed", "suspend", "unsuspend", "drain", "permit"])),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("command"), st.sampled_from([3, 4, 8, 2]), st.sampled_from([1, 1, 130])),
    st.tuples(st.just("published"), st.integers(-1, 14)),
    st.tuples(st.just("finish"), st.sampled_from([1000, 1001, 4900, 4000, 7])),
)


class Watcher:
    """A shell that performs effects on paper and checks every one of them."""

    def __init__(self, compression, session):
        rng = iter([0.5, 0.0, 0.999, 0.25] * 1000)
        self.machine = Machine(
            shard_id=0,
            num_shards=1,
            token="t.o.ken",
            intents=1,
            compression=compression,
            gateway_url="wss://gateway.discord.gg",
            rng=lambda: next(rng),
            session=session,
        )
        self.compression = compression
        self.now = 0.0
        self.open = self.dialing = self.permit_wanted = self.unanswered = self.stopped = False
        self.sent_at = []
        self.ending = False
        self.highest = (None, -1, -1)

    # What the happenings do.

    def receive(self, text, times):
        for _ in range(times):
            self.check(self.machine.receive(self.squeeze(text), self.now))

    def garbage(self, frame):
        self.check(self.machine.receive(frame, self.now))

    def wait(self, seconds):
        self.now += seconds
        for _ in range(50):
            if self.machine.next_deadline > self.now:
                return
            self.check(self.machine.handle_timer(self.now))
        raise AssertionError("timers that are due again at once")

    def follow(self):
        """Do what a friendly world would do next, so that deep states are reached."""
        match self.machine.state:
            case State.IDLE | State.STOPPED:
                self.start()
            case State.BACKOFF:
                self.now = max(self.now, self.machine.next_deadline)
                self.wait(0)
            case State.DIALING:
                self.connected()
            case State.HELLO_WAIT:
                self.receive(payload(10, {"heartbeat_interval": 41250}), 1)
            case State.PERMIT_WAIT:
                self.permit()
            case State.IDENTIFYING:
                self.receive(
                    payload(0, {"session_id": "a", "resume_gateway_url": "wss://r", "guilds": []}, 1, "READY"), 1
                )
            case State.RESUMING:
                self.receive(payload(0, {}, self.machine.received_seq + 1, "RESUMED"), 1)
            case State.SUSPENDED:
                self.unsuspend()
            case _:
                self.receive(payload(0, {}, self.machine.received_seq + 1, "MESSAGE_CREATE"), 1)

    def start(self):
        self.stopped = False
        self.check(self.machine.start(self.now))

    def connected(self):
        if self.dialing:
            self.dialing, self.open, self.sent_at = False, True, []
            self.squeezer = {
                "zlib-stream": zlib.compressobj,
                "zstd-stream": zstandard.ZstdCompressor().compressobj,
            }.get(self.dialed_compression, lambda: None)()
        self.check(self.machine.connected(self.now))

    def dial_failed(self):
        self.dialing = False
        self.check(self.machine.dial_failed("refused", 503, self.now))

    def lost(self, code):
        self.open = False
        self.check(self.machine.connection_lost(code, "", self.now))

    def permit(self):
        wanted, self.permit_wanted = self.permit_wanted, False
        self.check(self.machine.permit_granted(self.now, {"status": "idle"}), identify=wanted)

    def suspend(self):
        self.check(self.machine.suspend(self.now))

    def unsuspend(self):
        self.check(self.machine.unsuspend(self.now))

    def drain(self):
        self.check(self.machine.drain(self.now))

    def restart(self, resume):
        self.ending = not resume
        self.check(self.machine.restart(self.now, resume=resume))
        self.ending = False

    def command(self, op, times):
        for _ in range(times):
            try:
                self.check(self.machine.command(op, {"guild_id": "1", "query": ""}, self.now))
            except LocalProtocolError:
                return

    def published(self, seq):
        self.machine.published(seq)
        self.check(())

    def finish(self, code):
        self.ending = code in (1000, 1001)
        try:
            self.check(self.machine.finish(code, self.now))
        except LocalProtocolError:
            assert code == 7
        self.ending = False

    # What must hold.

    def check(self, effects, *, identify=False):
        for effect in effects:
            match effect:
                case Send(data=data):
                    self.check_send(data, identify=identify)
                case IdentifySent():
                    assert identify
                    assert not self.unanswered
                    self.unanswered = True
                case IdentifyAnswered():
                    assert self.unanswered
                    self.unanswered = False
                case Close(code=code):
                    assert self.open or self.dialing
                    assert self.ending or code not in (1000, 1001)
                    self.open = self.dialing = False
                case Dial(url=url):
                    assert not self.open
                    assert not self.dialing
                    assert not self.stopped
                    self.dialing = True
                    self.dialed_compression = url.partition("compress=")[2]
                case Deliver(seq=seq, raw=raw):
                    assert self.machine.state in ("live", "resuming", "backoff")
                    assert seq <= self.machine.received_seq or not self.machine.resumable
                    json.loads(raw)
                case RequestPermit():
                    assert not self.permit_wanted
                    assert not self.unanswered
                    self.permit_wanted = True
                case CancelPermit():
                    self.permit_wanted = False
                case Stopped():
                    self.stopped = True
        self.check_sequence()

    def check_send(self, data, *, identify):
        assert self.open
        assert len(data) <= 4096
        assert identify or json.loads(data)["op"] != 2
        self.sent_at.append(self.now)
        # Both ends of the window included, which is stricter than any server.
        assert len(self.sent_at) - bisect_left(self.sent_at, self.now - 60.0) <= 120

    def check_sequence(self):
        session = self.machine.session
        if session is None:
            self.highest = (None, -1, -1)
            return
        session_id, received_seq, published_seq = self.highest
        if session.session_id == session_id:
            assert self.machine.received_seq >= received_seq
            assert session.seq >= published_seq
        assert session.seq <= self.machine.received_seq
        self.highest = (session.session_id, self.machine.received_seq, session.seq)

    def squeeze(self, text):
        match getattr(self, "squeezer", None):
            case None:
                return text
            case context if self.dialed_compression == "zlib-stream":
                return context.compress(text) + context.flush(zlib.Z_SYNC_FLUSH)
            case context:
                return context.compress(text) + context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    compression=st.sampled_from(["none", "zlib-stream", "zstd-stream"]),
    stored=st.booleans(),
    steps=st.integers(0, 6),
    happenings=st.lists(HAPPENINGS, min_size=10, max_size=30),
)
def test_the_promises_hold_whatever_happens(compression, stored, steps, happenings):
    session = Session(
        session_id="a",
        resume_gateway_url="wss://r",
        seq=4,
        shard_id=0,
        num_shards=1,
        intents=1,
        guilds=GuildSnapshot(awaited=frozenset({1})),
        compression=compression,
    )
    watcher = Watcher(compression, session if stored else None)

    for _ in range(steps):
        watcher.follow()
    for name, *arguments in happenings:
        getattr(watcher, name)(*arguments)


@settings(max_examples=40)
@given(
    st.lists(st.binary(max_size=20) | st.text(max_size=10), max_size=10),
    st.sampled_from(["zlib-stream", "zstd-stream", "none"]),
)
def test_garbage_from_the_first_byte_is_survived(frames, compression):
    watcher = Watcher(compression, None)

    for frame in frames:
        watcher.follow()
        watcher.garbage(frame)
