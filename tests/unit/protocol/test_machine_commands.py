import pytest

from gateway_service.errors import LocalProtocolError
from tests.support.machine import sent

VOICE = {"guild_id": "1", "channel_id": "2", "self_mute": False, "self_deaf": False}


def test_a_command_is_sent_at_once_while_live(shell):
    shell.to_live()

    assert sent(shell.command(4, VOICE)) == [(4, VOICE)]


@pytest.mark.parametrize(
    "state", ["idle", "backoff", "dialing", "hello_wait", "permit_wait", "identifying", "suspended"]
)
def test_a_command_waits_until_the_shard_is_live(shell, state):
    shell.reach(state)

    assert sent(shell.command(4, VOICE)) == []


def test_waiting_commands_leave_when_ready_arrives(shell):
    shell.to_identifying()
    shell.command(4, VOICE)

    assert sent(shell.ready()) == [(4, VOICE)]


def test_waiting_commands_leave_when_resumed_arrives(shell):
    shell.to_resuming()
    shell.command(4, VOICE)

    assert sent(shell.resumed()) == [(4, VOICE)]


def test_only_the_latest_presence_leaves(shell):
    shell.to_identifying()
    shell.command(3, {"status": "idle"})
    shell.command(3, {"status": "dnd"})

    assert [data["status"] for _, data in sent(shell.ready())] == ["dnd"]


def test_the_sixth_presence_in_twenty_seconds_leaves_later(shell):
    shell.to_live()
    now = [sent(shell.command(3, {"since": number})) for number in range(6)]

    later = sent(shell.wait(20.5))

    assert (now[5], [data["since"] for op, data in later if op == 3]) == ([], [5])


def test_presences_are_counted_across_reconnects(shell):
    shell.to_live()
    for number in range(5):
        shell.command(3, {"since": number})
    shell.lost()
    shell.wait_until_dial()
    shell.connected()
    shell.hello()
    shell.resumed()

    assert sent(shell.command(3, {"since": 6})) == []


def test_commands_beyond_the_limit_leave_as_the_window_slides(shell):
    shell.to_live()
    at_once = [op for number in range(140) for op, _ in sent(shell.command(4, {**VOICE, "channel_id": str(number)}))]
    later = []
    for _ in range(7):
        later += [op for op, _ in sent(shell.wait(10)) if op == 4]
        shell.op(11)

    assert (len(at_once), len(later)) == (114, 26)


def test_a_command_that_is_too_long_is_refused_and_nothing_is_sent(shell):
    shell.to_live()

    with pytest.raises(LocalProtocolError, match="4096"):
        shell.command(3, {"activities": [{"name": "x" * 5000}]})


@pytest.mark.parametrize("state", ["draining", "stopped"])
def test_a_shard_that_is_ending_takes_no_commands(shell, state):
    shell.reach(state)

    with pytest.raises(LocalProtocolError, match=state):
        shell.command(4, VOICE)
