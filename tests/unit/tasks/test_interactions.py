import pytest

from tasks.interactions import answer_to


def command(name):
    return {"type": 2, "data": {"name": name}}


def test_the_ping_command_is_answered():
    assert answer_to(command("ping")) == "pong"


def test_an_unknown_command_is_answered_too():
    # Discord shows "did not respond" to whoever gets no answer.
    assert answer_to(command("dance")) == "I do not know the command 'dance'."


@pytest.mark.parametrize("interaction", [{"type": 1}, {"type": 3}, {"type": 4}, {"type": 5}, {}])
def test_what_is_no_command_is_not_answered(interaction):
    assert answer_to(interaction) is None
