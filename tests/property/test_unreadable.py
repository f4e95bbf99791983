"""Texts that are no JSON, anywhere in a session and over any drops."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_service.protocol.effects import Close, Deliver, Send
from gateway_service.protocol.machine import Machine
from tests.support.machine import Shell, closed, forgotten, payload
from tests.unit.protocol.test_machine_unreadable import notes, poison, resume


class Discord:
    """A session's dispatches, of which some are unreadable; a connection replays all and goes on."""

    def __init__(self, readable):
        rng = iter([0.5, 0.0, 0.999, 0.25] * 1000)
        machine = Machine(
            shard_id=0,
            num_shards=1,
            token="t.o.ken",
            intents=1,
            compression="none",
            gateway_url="wss://gateway.discord.gg",
            rng=lambda: next(rng),
        )
        self.shell = Shell(machine, None)
        self.shell.to_live()
        self.log = dict(enumerate(readable, start=2))

    def send(self, first, last):
        """Send dispatches until the shard leaves; tell whether it did."""
        for seq in range(first, last + 1):
            readable = self.log.get(seq, True)
            if closed(self.shell.receive(payload(0, {}, seq, "A") if readable else poison(seq))):
                return True
        return False

    def replay(self, last):
        return self.send(resume(self.shell) + 1, last)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    readable=st.lists(st.booleans(), min_size=1, max_size=12),
    drops=st.lists(st.tuples(st.integers(2, 13), st.integers(0, 13)), max_size=2),
)
def test_every_readable_one_is_delivered_once_and_every_other_one_is_told(readable, drops):
    discord = Discord(readable)
    shell, end = discord.shell, len(readable) + 2  # the last one can be read
    has_left = discord.send(2, min([end, *(at for at, _ in drops)]))
    for at, published in drops:
        if not has_left:
            shell.lost()
        shell.machine.published(published)
        has_left = discord.replay(min(at, end))
    for _ in range(2):
        if has_left or shell.machine.received_seq < end:
            if not has_left:
                shell.lost()
            has_left = discord.replay(end)

    missing = {seq for seq, is_readable in discord.log.items() if not is_readable}
    gaps = notes(shell.effects, "dispatch.gap")
    assert [effect.seq for effect in shell.of(Deliver)] == [seq for seq in range(1, end + 1) if seq not in missing]
    assert {seq for gap in gaps for seq in range(gap["expected"], gap["seq"])} == missing
    assert all(gap["unreadable"] for gap in gaps)
    assert len(shell.of(Close)) <= len(drops) + 2
    assert not forgotten(shell.effects)
    assert sum(json.loads(effect.data)["op"] == 2 for effect in shell.of(Send)) == 1
