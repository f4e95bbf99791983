"""A shard of the other supervisor, reached through each door; and what spans both."""

import json
import re
import signal
import time

import pytest

from gateway_service.errors import EX_CONFIG, EX_OK, EX_REFUSED, EX_UNAVAILABLE, EX_USAGE
from gateway_service.protocol.constants import Opcode
from gateway_service.refusals import InvalidArgument
from gateway_service.simulator import InvalidateSession, LimitRequest, Moment
from tests.support.control_stack import NUM_SHARDS, ON_ANY_BROKER
from tests.support.service import signal_to
from tests.support.waiting import wait_until


def resumes(stack):
    return len(stack.simulator.transcript.payloads(Opcode.RESUME))


def test_http_lists_the_shards_of_both(stack):
    answer = stack.ok("GET /v1/shards")

    assert [shard["shard_id"] for shard in answer["result"]["shards"]] == list(range(NUM_SHARDS))
    assert len({shard["host"] for shard in answer["result"]["shards"]}) == 2
    assert answer["failures"] == []


def test_http_restarts_a_shard_of_the_other(stack):
    before = resumes(stack)

    answer = stack.ok("POST /v1/shards/6/restart?wait_s=60")

    assert answer["result"] == {"shard_ids": [6], "outcome": "resumed"}
    assert answer["host"].endswith(".4")
    assert resumes(stack) == before + 1


def test_http_gathers_members_through_the_other(stack):
    guild_id = stack.guild_of(7)

    result = stack.ok(f"POST /v1/guilds/{guild_id}/members", json={"timeout_s": 60})["result"]

    assert (result["shard_id"], len(result["members"])) == (7, 2501)


def test_the_command_line_restarts_a_shard_of_the_other(cli, stack):
    before = resumes(stack)

    code, out, err = cli("restart", "5", "--mode", "resume", "--wait", "60")

    assert (code, err) == (EX_OK, "")
    assert re.fullmatch(r"shard 5: resumed on gateway@\S+\.4\n", out)
    assert resumes(stack) == before + 1


def test_a_task_asks_through_the_other(calls, stack):
    guild_id = stack.guild_of(6)

    found = calls.request_guild_members(guild_id, user_ids=["1"], timeout_s=30.0)
    sounds = calls.request_soundboard_sounds(guild_id, timeout_s=30.0)
    channels = calls.request_channel_info(guild_id, timeout_s=30.0)
    place = calls.where_is(guild_id, timeout_s=30.0)

    assert found.not_found == ["1"]
    assert sounds == []
    assert all(set(channel) == {"id", "status", "voice_start_time"} for channel in channels)
    assert (place.shard_id, place.num_shards, place.state) == (6, NUM_SHARDS, "live")


def test_a_task_moves_the_bot_and_shows_a_presence(calls, stack):
    guild_id = stack.guild_of(4)

    calls.update_voice_state(guild_id, 123456789012345678, timeout_s=30.0)
    shown = calls.update_presence({"status": "idle"}, shard_ids=[1, 4], timeout_s=30.0)

    assert shown == [1, 4]
    wait_until(lambda: stack.simulator.hub.voice_channels.get(guild_id) == 123456789012345678)
    wait_until(lambda: stack.simulator.presences.get(4, {}).get("status") == "idle")
    calls.update_voice_state(guild_id, None, timeout_s=30.0)


def test_a_task_learns_what_is_wrong(calls, stack):
    with pytest.raises(InvalidArgument, match="a query that is not empty needs a limit"):
        calls.request_guild_members(stack.guild_of(0), query="ann", timeout_s=30.0)


def test_equal_requests_at_one_time_are_one(stack):
    guild_id = stack.guild_of(2)
    before = len(stack.simulator.transcript.payloads(Opcode.REQUEST_GUILD_MEMBERS))
    # Until Discord wants to be asked again, all of them have come.
    stack.simulator_thread.call(
        stack.simulator.arm, fault=LimitRequest(retry_after_s=1.0), moment=Moment.REQUEST, shard_id=2
    )

    request = {"query": "", "limit": 3, "timeout_s": 60}
    answers = stack.at_once(4, f"POST /v1/guilds/{guild_id}/members", json=request)

    assert [len(answer["result"]["members"]) for answer in answers] == [3] * 4
    asked = len(stack.simulator.transcript.payloads(Opcode.REQUEST_GUILD_MEMBERS)) - before
    assert asked == 2


def test_the_command_line_shows_what_runs(cli):
    for arguments, words in (
        (["status", "--once"], f"{NUM_SHARDS} of {NUM_SHARDS} shards live"),
        (["shards"], " live "),
        (["processes"], "RUNNING"),
        (["budget"], "IDENTIFYs left"),
    ):
        code, out, err = cli(*arguments)
        assert (code, err) == (EX_OK, ""), arguments
        assert words in out, arguments


def test_the_command_line_speaks_json(cli):
    for name in ("status", "shards", "processes", "budget"):
        code, out, _ = cli(name, "--json")
        assert code == EX_OK
        assert json.loads(out)["operation"]


def test_the_command_line_reaches_discord(cli, stack):
    guild_id = stack.guild_of(1)

    code, out, _ = cli("presence", "set", '{"status": "dnd"}', "--shards", "1")
    assert (code, out) == (EX_OK, "shown by shards 1\n")
    assert cli("voice", "join", str(guild_id), "123456789012345678") == (EX_OK, "sent by shard 1\n", "")
    assert cli("voice", "leave", str(guild_id)) == (EX_OK, "sent by shard 1\n", "")
    code, out, _ = cli("members", str(guild_id), "--query", "a", "--limit", "1", "--timeout", "30")
    assert code == EX_OK
    code, out, _ = cli("where", str(guild_id))
    assert (code, out.split()[:4]) == (EX_OK, ["shard", "1", "of", "8"])


def test_the_command_line_says_what_is_wrong(cli):
    code, _, err = cli("restart", "99")
    assert (code, err) == (
        EX_USAGE,
        "gateway-service: there is no shard 99: the bot has 8, ids go from 0 to 7\n",
    )


def test_the_command_line_says_that_nobody_is_there(cli, monkeypatch):
    monkeypatch.setenv("GATEWAY_CONTROL_ADDRESS", "127.0.0.1:9")

    code, _, err = cli("status")

    assert code == EX_UNAVAILABLE
    assert err.startswith("gateway-service: no gateway service answers at 127.0.0.1:9: ")


def test_a_process_is_restarted_and_its_shards_resume(stack):
    answer = stack.ok("POST /v1/shards/4/restart-process?wait_s=90")

    assert answer["result"] == {"shard_ids": [4, 5], "outcome": "resumed"}
    noted = [line for line in stack.services[1].log.splitlines() if '"operation":"restart_process"' in line]
    assert " for http:operator@127.0.0.1" in noted[-1]


def pids(stack):
    return [process["pid"] for process in stack.ok("GET /v1/processes")["result"]["processes"]]


def test_a_rolling_restart_brings_in_new_code_and_settings_and_spends_no_identify(cli, stack):
    stack.ok("PUT /v1/presence", json={"presence": None, "shard_ids": [3]})
    identifies = len(stack.simulator.transcript.payloads(Opcode.IDENTIFY))
    before = pids(stack)
    stack.simulator_thread.call(stack.simulator.start_traffic, rate=200)

    with (stack.installed / "gateway_service" / "shard" / "__init__.py").open("a") as code:
        code.write('import os\nprint("new code in process", os.getpid(), flush=True)\n')
    with (stack.installed / "gateway.toml").open("a") as settings:
        settings.write('outbox_max_bytes = "32MiB"\n')
    presence = "def for_shard(shard_id):\n    return {'status': 'idle'} if shard_id == 3 else None\n"
    (stack.installed / "presence_of_bot.py").write_text(presence)
    code, out, err = cli("rolling-restart", "--max-resume", "90")
    stack.simulator_thread.run(stack.simulator.stop_traffic())

    assert (code, err) == (EX_OK, "")
    assert "new settings: outbox_max_bytes\nidentifies used: 0, dispatches lost: 0" in out
    assert len(stack.simulator.transcript.payloads(Opcode.IDENTIFY)) == identifies
    first, second, *others = stack.ok("GET /v1/processes")["result"]["processes"]
    assert {first["pid"], second["pid"]}.isdisjoint(before)
    assert [other["pid"] for other in others] == before[2:]
    for process in (first, second):
        assert f"new code in process {process['pid']}\n" in stack.services[0].log
        assert process["status"]["outbox_max_bytes"] == 32 * 1024 * 1024
    wait_until(lambda: stack.simulator.presences.get(3, {}).get("status") == "idle")
    rows = wait_until(lambda: _settled(stack))
    assert all(row["is_balanced"] for row in rows)


@ON_ANY_BROKER
@pytest.mark.parametrize(
    ("file", "line", "refusal"),
    [
        ("gateway.toml", 'log_level = "loud"', (EX_CONFIG, "gateway.toml: log_level: ")),
        (
            "gateway.toml",
            "identify_reserve = 30",
            (EX_CONFIG, "identify_reserve: a rolling restart cannot change it; "),
        ),
        ("presence_of_bot.py", "import no_such_module", (EX_CONFIG, "presence: cannot import 'presence_of_bot:")),
        (
            "gateway_service/shard/process.py",
            "raise SystemExit(3)",
            (EX_REFUSED, "did not start: exit code 3; the log"),
        ),
    ],
    ids=["bad", "fixed", "presence", "code"],
)
def test_what_would_not_start_restarts_nothing(cli, stack, file, line, refusal):
    before, edited = pids(stack), stack.installed / file
    text = edited.read_text()
    edited.write_text(f"{text}\n{line}\n")

    code, out, err = cli("rolling-restart")
    edited.write_text(text)

    assert code == refusal[0], out + err
    assert refusal[1] in out + err
    assert pids(stack) == before


@ON_ANY_BROKER
def test_a_rolling_restart_goes_from_host_to_host(cli, stack):
    before = pids(stack)

    code, out, err = cli("rolling-restart", "--every-host", "--max-resume", "90")

    assert (code, err) == (EX_OK, "")
    assert out.count("identifies used: 0, dispatches lost: 0") == 2
    assert set(pids(stack)).isdisjoint(before)
    status = stack.ok("GET /v1/rolling-restart")
    assert [(roll["state"], roll["processes_done"]) for roll in status["result"]["hosts"]] == 2 * [("done", 2)]
    stack.wait_until_live()


@ON_ANY_BROKER
def test_a_roll_of_every_host_does_not_begin_while_one_is_silent(cli, stack):
    before = pids(stack)
    signal_to(stack.services[1].process.pid, signal.SIGSTOP)
    try:
        code, out, err = cli("rolling-restart", "--every-host")
    finally:
        signal_to(stack.services[1].process.pid, signal.SIGCONT)

    assert (code, out) == (EX_REFUSED, "nothing was restarted: who is silent now would end the roll halfway\n")
    assert "no supervisor that runs shard 7 answered" in err
    assert pids(stack) == before


@ON_ANY_BROKER
def test_a_resume_that_fails_halts_the_roll(cli, stack):
    before = pids(stack)
    stack.simulator_thread.call(
        stack.simulator.arm, fault=InvalidateSession(resumable=False), moment=Moment.RESUME, shard_id=1
    )

    code, out, _ = cli("rolling-restart", "--every-host", "--max-resume", "90")

    assert code == EX_REFUSED
    assert "halted after 0 of 2: the shards of process 0 used 1 identifies and lost 0 dispatches" in out
    after = pids(stack)
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    stack.wait_until_live()


def _settled(stack):
    rows = stack.ok("GET /v1/ledger")["result"]["rows"]
    time.sleep(0.1)
    return rows if all(row["pending"] == 0 for row in rows) else None
