"""Texts that inflate and are no JSON: doubted once, skipped when the replay brings them again, and told."""

import pytest

from gateway_service.protocol.effects import Note
from tests.support.machine import closed, delivered, endings, forgotten, noted, payload, sent

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
