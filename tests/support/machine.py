"""A shell without I/O: reports happenings to a machine at times of its own and keeps what the machine wants."""

import json

from gateway_service.protocol.effects import Close, Deliver, Dial, Note, Send, SessionForgotten

INTERVAL_S = 40.0


def payload(op, data=None, seq=None, event=None):
    """Return a payload the way Discord writes it: t, s, op, d."""
    return json.dumps({"t": event, "s": seq, "op": op, "d": data}, separators=(",", ":")).encode()


class Shell:
    """Drives one machine on a clock that only moves when told to."""

    def __init__(self, machine, rng):
        self.machine = machine
        self.rng = rng
        self.now = 1000.0
        self.effects = []

    def perform(self, effects):
        effects = list(effects)
        self.effects += effects
        return effects

    def wait(self, seconds):
        """Let time pass, serving every timer when it is due; return what came of it."""
        until = self.now + seconds
        effects = []
        while self.machine.next_deadline <= until:
            self.now = max(self.now, self.machine.next_deadline)
            effects += self.perform(self.machine.handle_timer(self.now))
        self.now = until
        return effects

    def wait_until_dial(self):
        """Wait out the backoff; return its length and the Dial."""
        before = self.now
        self.now = self.machine.next_deadline
        (dial,) = self.perform(self.machine.handle_timer(self.now))
        assert isinstance(dial, Dial)
        return self.now - before, dial

    def start(self):
        return self.perform(self.machine.start(self.now))

    def connected(self):
        return self.perform(self.machine.connected(self.now))

    def receive(self, frame):
        return self.perform(self.machine.receive(frame, self.now))

    def op(self, op, data=None):
        return self.receive(payload(op, data))

    def hello(self, interval_s=INTERVAL_S):
        return self.op(10, {"heartbeat_interval": interval_s * 1000})

    def dispatch(self, event, data, seq=None):
        return self.receive(payload(0, data, self.machine.received_seq + 1 if seq is None else seq, event))

    def ready(self, session_id="s-1", url="wss://resume.discord.gg", guilds=(), seq=1):
        data = {
            "v": 10,
            "session_id": session_id,
            "resume_gateway_url": url,
            "guilds": [{"id": str(guild_id), "unavailable": True} for guild_id in guilds],
        }
        return self.dispatch("READY", data, seq)

    def resumed(self, seq=None):
        return self.dispatch("RESUMED", {"_trace": []}, seq)

    def permit(self, presence=None):
        return self.perform(self.machine.permit_granted(self.now, presence))

    def lost(self, code=None):
        return self.perform(self.machine.connection_lost(code, "", self.now))

    def dial_failed(self, status=None):
        return self.perform(self.machine.dial_failed("refused", status, self.now))

    def command(self, op, data):
        return self.perform(self.machine.command(op, data, self.now))

    def to_hello(self):
        self.start()
        self.connected()

    def to_permit_wait(self):
        self.to_hello()
        self.hello()

    def to_identifying(self):
        self.to_permit_wait()
        self.permit()

    def to_live(self, **ready):
        self.to_identifying()
        return self.ready(**ready)

    def to_resuming(self):
        """From LIVE through a dropped connection."""
        self.to_live()
        self.wait(20)
        self.lost()
        self.wait_until_dial()
        self.connected()
        return self.hello()

    def reach(self, state):
        {
            "idle": lambda: None,
            "dialing": self.start,
            "hello_wait": self.to_hello,
            "permit_wait": self.to_permit_wait,
            "identifying": self.to_identifying,
            "resuming": self.to_resuming,
            "live": self.to_live,
            "backoff": lambda: (self.to_live(), self.lost()),
            "suspended": lambda: (self.to_live(), self.perform(self.machine.suspend(self.now))),
            "draining": lambda: (self.to_live(), self.perform(self.machine.drain(self.now))),
            "stopped": lambda: (self.to_identifying(), self.lost(4004)),
        }[state]()
        assert self.machine.state == state

    def of(self, kind):
        return [effect for effect in self.effects if isinstance(effect, kind)]


def sent(effects):
    """Return the payloads among ``effects`` as (op, d)."""
    texts = [json.loads(effect.data) for effect in effects if isinstance(effect, Send)]
    return [(text["op"], text["d"]) for text in texts]


def delivered(effects):
    """Return the deliveries among ``effects`` as (event, seq)."""
    return [(effect.event, effect.seq) for effect in effects if isinstance(effect, Deliver)]


def closed(effects):
    """Return the close codes among ``effects``."""
    return [effect.code for effect in effects if isinstance(effect, Close)]


def noted(effects):
    """Return the names of the notes among ``effects``."""
    return [effect.name for effect in effects if isinstance(effect, Note)]


def endings(effects):
    """Return the fields of every ``connection.ended`` note."""
    return [effect.fields for effect in effects if isinstance(effect, Note) and effect.name == "connection.ended"]


def forgotten(effects):
    """Tell whether the session has to go."""
    return any(isinstance(effect, SessionForgotten) for effect in effects)
