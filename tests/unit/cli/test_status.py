"""What ``gateway-service status`` shows, in the terminal of whoever is on call."""

import pytest
from rich.console import Console

from gateway_service.cli.main import run
from gateway_service.cli.status import StatusView
from gateway_service.errors import EX_USAGE

NOW = 1_000_000.0
BUDGET = {"total": 1000, "remaining": 1000, "reserve": 200, "can_restart_all": True}
EXHAUSTED = {"total": 1000, "remaining": 0, "reserve": 200, "can_restart_all": False}
WHY = "may not IDENTIFY before 2026-11-25T02:51:26Z: no IDENTIFY is left, and one more would reset the token"


def shard(shard_id, **changes):
    live = {
        "shard_id": shard_id,
        "host": "gateway@one",
        "state": "live",
        "rung": "confirming",
        "latency_s": 0.042,
        "guilds": 2500,
        "received": 100,
        "lag": 0,
        "session_since": NOW - 93_784,
        "resumes": 3,
        "restarts": 0,
        "reason": None,
    }
    return live | changes


@pytest.fixture
def shown():
    """Return what is shown of some shards, in 80 columns."""
    view = StatusView()

    def show(*shards, budget=BUDGET, now=NOW):
        console = Console(width=80)
        answer = {"result": {"num_shards": 1024, "shards": shards}, "failures": []}
        with console.capture() as capture:
            console.print(view(answer, budget, now))
        return [line.rstrip() for line in capture.get().splitlines()]

    return show


def test_a_shard_is_one_line_of_80_columns_with_nothing_cut_off(shown):
    lines = shown(shard(1023), shard(1022, state="permit_wait", session_since=None))

    assert [line.split() for line in lines[1:4]] == [
        ["shard", "state", "rung", "latency", "guilds", "events/s", "lag", "age", "resumes", "restarts"],
        ["1023", "live", "confirming", "42", "ms", "2,500", "0", "1d02h", "3", "0"],
        ["1022", "permit_wait", "confirming", "42", "ms", "2,500", "0", "3", "0"],
    ]


def test_shards_of_several_hosts_are_one_line_each_too(shown):
    lines = shown(shard(1022, host="gateway@bot-7"), shard(1023, host="gateway@bot-8", state="permit_wait"))

    assert [line.split() for line in lines[1:4]] == [
        ["shard", "state", "rung", "latency", "guilds", "events/s", "lag", "age", "restarts", "host"],
        ["1022", "live", "confirming", "42", "ms", "2,500", "0", "1d02h", "0", "bot-7"],
        ["1023", "permit_wait", "confirming", "42", "ms", "2,500", "0", "1d02h", "0", "bot-8"],
    ]


def test_what_looks_like_markup_is_text(shown):
    lines = shown(shard(0, host="[/red]"), shard(1))

    assert "[/red]" in lines[2]


def test_shards_that_wait_say_why_once(shown):
    waiting = [shard(each, state="permit_wait", reason=WHY) for each in (4, 5, 6)]
    text = " ".join(shown(*waiting, budget=EXHAUSTED))

    assert text.count("no IDENTIFY is left") == 1
    assert f"shard 4-6: {WHY}" in text


@pytest.mark.parametrize(("budget", "verdict"), [(BUDGET, "yes"), (EXHAUSTED, "no")])
def test_the_last_line_tells_whether_everything_could_begin_anew(shown, budget, verdict):
    line = f"{budget['remaining']} of 1000 IDENTIFYs left (200 in reserve); full restart affordable: {verdict}"

    assert shown(shard(0), budget=budget)[-1] == line


def test_the_rate_is_known_from_the_second_look_on(shown):
    first = shown(shard(0, received=100))
    second = shown(shard(0, received=600), now=NOW + 2)

    assert first[0] == "1 of 1024 shards live, 2,500 guilds, lag 0"
    assert second[0] == "1 of 1024 shards live, 2,500 guilds, 250 events/s, lag 0"


def test_the_host_is_named_where_there_are_several(shown):
    assert "host" not in " ".join(shown(shard(0)))
    assert "two" in " ".join(shown(shard(0), shard(1, host="two")))


@pytest.mark.parametrize(("age_s", "age"), [(5, "0m05s"), (61, "1m01s"), (7_380, "2h03m"), (None, "")])
def test_the_age_of_a_session_is_short(shown, age_s, age):
    lines = shown(shard(0, session_since=None if age_s is None else NOW - age_s, latency_s=None))

    assert lines[2].split() == ["0", "live", "confirming", "2,500", "0", *age.split(), "3", "0"]


@pytest.mark.parametrize("field", ["reason", "state", "rung"])
def test_a_terminal_does_not_obey_what_someone_else_said(shown, field):
    assert not any("\x1b" in line for line in shown(shard(0, **{field: "\x1b]0;owned\x07"})))


@pytest.mark.parametrize("interval", ["-1", "0"])
def test_an_interval_that_is_no_time_is_a_wrong_command_line(interval, capsys):
    assert run(["status", "--interval", interval]) == EX_USAGE
    assert "--interval" in capsys.readouterr().err
