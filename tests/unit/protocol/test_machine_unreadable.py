"""Texts that inflate and are no JSON: doubted once, skipped when the replay brings them again, and told."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_service.protocol.effects import Close, Deliver, Note, Send
from gateway_service.protocol.machine import Machine
from tests.support.machine import Shell, closed, delivered, endings, forgotten, noted, payload, sent

POISON = [b"[" * 100_000 + b"]" * 100_000, b"NaN", b'"\xff"']


def poison(seq, raw=b"NaN"):
    return b'{"t":"ODD","s":%d,"op":0,"d":%b}' % (seq, raw)


def resume(shell):
    """Reconnect and send RESUME; return its sequence."""
    shell.wait_until_dial()
    shell.connected()
    ((op, data),) = sent(shell.hello())
    assert op == 6
    return data["seq"]


def notes(effects, name):
    return [dict(effect.fields) for effect in effects if isinstance(effect, Note) and effect.name == name]


@pytest.mark.parametrize("raw", POISON, ids=["100k levels", "NaN", "UTF-8"])
def test_it_is_doubted_once_and_skipped_in_the_replay(shell, raw):
    shell.to_live()
    shell.machine.published(1)

    first = shell.receive(poison(2, raw))
    seq = resume(shell)
    again = shell.receive(poison(2, raw))
    behind = [*shell.dispatch("AFTER", {}, seq=3), *shell.resumed(seq=4)]

    assert (closed(first), endings(first)[0]["cause"], seq) == ([4000], "unreadable", 1)
    reason = "a payload that is not JSON"
    assert notes(again, "dispatch.unreadable") == [{"seq": 2, "bytes": len(poison(2, raw)), "reason": reason}]
    assert delivered(behind) == [("AFTER", 3), ("RESUMED", 4)]
    assert notes(behind, "dispatch.gap") == [{"event": "AFTER", "seq": 3, "expected": 2, "unreadable": True}]
    assert shell.machine.state == "live"


def test_what_was_damaged_on_its_way_is_delivered_from_the_replay(shell):
    shell.to_live()
    shell.receive(poison(2))
    resume(shell)

    assert delivered(shell.dispatch("ODD", {}, seq=2)) == [("ODD", 2)]
    assert closed(shell.receive(poison(3))) == [4000]


def test_a_text_that_was_no_dispatch_leaves_no_gap(shell):
    shell.to_live()
    shell.machine.published(1)
    shell.receive(b"noise")
    resume(shell)
    shell.receive(b"noise")

    effects = shell.dispatch("NEXT", {}, seq=2)

    assert (delivered(effects), noted(effects)) == ([("NEXT", 2)], [])


def test_numbers_that_discord_leaves_out_are_not_called_unreadable(shell):
    shell.to_live()

    assert not notes(shell.dispatch("A", {}, seq=4), "dispatch.gap")[0]["unreadable"]


def test_a_replay_that_damages_what_is_here_already_is_read_on(shell):
    shell.to_live()
    shell.dispatch("A", {})
    shell.lost()
    assert resume(shell) == 0

    effects = shell.receive(poison(1))

    assert (closed(effects), notes(effects, "dispatch.duplicate")) == ([], [{"event": None, "seq": 1}])


def test_a_skipped_one_costs_no_other_resume_while_the_broker_is_behind(shell):
    shell.to_live()
    shell.machine.published(1)
    shell.dispatch("BEFORE", {})
    shell.receive(poison(3))
    resume(shell)
    for frame in (payload(0, {}, 2, "BEFORE"), poison(3), payload(0, {}, 4, "AFTER"), payload(0, {}, 5, "RESUMED")):
        shell.receive(frame)
    shell.lost()
    assert resume(shell) == 1

    effects = [*shell.receive(payload(0, {}, 2, "BEFORE")), *shell.receive(poison(3)), *shell.receive(poison(4))]

    assert [note["seq"] for note in notes(effects, "dispatch.duplicate")] == [2, 3, 4]
    assert closed(effects) == []


def test_a_strike_in_a_resume_after_a_long_silence_keeps_the_session(shell):
    shell.to_live()
    shell.machine.published(1)
    shell.perform(shell.machine.suspend(shell.now))
    shell.wait(500)
    shell.perform(shell.machine.unsuspend(shell.now))
    resume(shell)

    effects = shell.receive(b"noise")

    assert (closed(effects), forgotten(effects)) == ([4000], False)


@pytest.mark.parametrize("state", ["hello_wait", "permit_wait", "identifying"])
def test_before_a_session_it_is_a_broken_stream(shell, state):
    shell.reach(state)

    assert endings(shell.receive(b"noise"))[0]["cause"] == "broken_stream"


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


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
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
