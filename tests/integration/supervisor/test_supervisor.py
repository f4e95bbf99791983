"""A real supervisor and real processes; the processes are stand-ins that speak ipc and misbehave on request."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from gateway_service.errors import EX_CONFIG, EX_OK, EX_SOFTWARE, BrokerUnavailable, ConfigurationError, TokenRefused
from gateway_service.simulator import ScriptedAnswer, Simulator, SimulatorConfig
from gateway_service.supervisor import Policy, Supervisor
from tests.support.stand_ins import accept, is_alive, visible_to_others
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def running(supervisor):
    return [process for process in supervisor.snapshot().processes if process.state == "RUNNING"]


async def all_running(supervisor, count=1):
    return await until(lambda: len(running(supervisor)) == count and running(supervisor))


async def test_shards_are_divided_and_reported(supervise, journal):
    async with supervise(shard_count=5, processes=2) as supervisor:
        await all_running(supervisor, 2)
        snapshot = supervisor.snapshot()

    assert [shard.shard_id for shard in snapshot.shards] == [0, 1, 2, 3, 4]
    assert {shard.state for shard in snapshot.shards} == {"live"}
    assert sorted(entry["shard_ids"] for entry in journal("configured")) == [[0, 1], [2, 3, 4]]


async def test_the_token_comes_over_the_channel_alone(supervise, journal, monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "secret-token-of-a-bot")
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://guest:secret-password@127.0.0.1:9//")
    async with supervise() as supervisor:
        [process] = await all_running(supervisor)
        visible = visible_to_others(process.pid)

    assert journal("configured")[0]["token"] == "secret-token-of-a-bot"
    assert b"secret" not in visible


async def test_ctrl_c_in_a_terminal_does_not_reach_a_child(supervise, journal):
    async with supervise() as supervisor:
        [process] = await all_running(supervisor)
        assert os.getpgid(process.pid) == process.pid

    assert journal("started")[0]["session"] == process.pid


async def test_a_killed_child_is_replaced(supervise, journal):
    async with supervise() as supervisor:
        [first] = await all_running(supervisor)
        os.kill(first.pid, signal.SIGKILL)
        second = await until(lambda: next((p for p in running(supervisor) if p.pid != first.pid), None))
        await until(lambda: len(journal("configured")) == 2)

    assert second.restarts == 1
    assert second.last_exit == "killed by SIGKILL"
    assert [entry["shard_ids"] for entry in journal("configured")] == [[0, 1], [0, 1]]


async def test_counters_survive_the_child_that_counted(supervise):
    async with supervise() as supervisor:
        [first] = await all_running(supervisor)
        await until(lambda: supervisor.snapshot().shards[0].received >= 5)
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: [process.pid for process in running(supervisor)] not in ([], [first.pid]))
        snapshot = supervisor.snapshot()

    assert snapshot.shards[0].received >= 5
    assert snapshot.processes[0].reconnects["zombied", "none"] == snapshot.shards[0].received


async def test_a_hung_child_is_killed_and_replaced(supervise):
    async with supervise(policy={"max_unanswered_pings": 10}) as supervisor:
        [first] = await all_running(supervisor)
        os.kill(first.pid, signal.SIGSTOP)
        second = await until(lambda: next((p for p in running(supervisor) if p.pid != first.pid), None))

    assert second.last_exit == "killed by SIGKILL"
    assert not is_alive(first.pid)


async def test_a_child_that_reads_and_does_not_answer_is_hung_too(supervise):
    async with supervise("--ignore-pings", policy={"max_unanswered_pings": 10}) as supervisor:
        [first] = await all_running(supervisor)
        await until(lambda: supervisor.snapshot().processes[0].pid not in {first.pid, None})


async def test_a_child_that_never_reports_is_killed(supervise, journal):
    async with supervise("--say-nothing", policy={"start_timeout_s": 0.5}):
        await until(lambda: len(journal("started")) >= 2)


async def test_a_child_that_speaks_another_language_is_killed(supervise, journal):
    async with supervise("--say-garbage"):
        await until(lambda: len(journal("started")) >= 2)


async def test_a_refused_configuration_is_not_tried_again(supervise, journal):
    async with supervise("--exit-with", str(EX_CONFIG)) as supervisor:
        assert await supervisor.wait() == EX_CONFIG
        assert [shard.state for shard in supervisor.snapshot().shards] == ["FATAL", "FATAL"]

    assert len(journal("started")) == 1


async def test_the_other_processes_go_on_without_a_refused_one(supervise):
    async with supervise("--exit-with", str(EX_CONFIG), "--only-shard", "1", processes=2) as supervisor:
        await until(lambda: [p.state for p in supervisor.snapshot().processes] == ["RUNNING", "FATAL"])

        assert [shard.state for shard in supervisor.snapshot().shards] == ["live", "FATAL"]


async def test_a_child_that_dies_again_and_again_ends_the_service(supervise, journal):
    async with supervise("--exit-with", "1", policy={"max_exits": 3}) as supervisor:
        assert await supervisor.wait() == EX_SOFTWARE

    assert len(journal("started")) == 3


@pytest.mark.parametrize("code", [4004, 4012, 4013, 4014])
async def test_a_refusal_of_the_bot_ends_the_service_and_is_told_once(supervise, code, caplog):
    async with supervise("--fatal", str(code), "--only-shard", "1", processes=2) as supervisor:
        assert await supervisor.wait() == EX_CONFIG

    assert len([r for r in caplog.records if str(code) in str(getattr(r, "event_fields", ""))]) == 1
    assert {process.state for process in supervisor.snapshot().processes} == {"STOPPED"}


async def test_a_refusal_of_one_shard_leaves_the_others(supervise, journal):
    async with supervise("--fatal", "4010") as supervisor:
        await until(lambda: [s.state for s in supervisor.snapshot().shards] == ["FATAL", "live"])
        os.kill(supervisor.snapshot().processes[0].pid, signal.SIGKILL)
        await until(lambda: len(journal("configured")) == 2)

    assert journal("configured")[1]["shard_ids"] == [1]


@pytest.mark.parametrize("code", [4010, 4011])
async def test_a_refused_shard_count_ends_a_service_without_sessions(supervise, code, caplog):
    async with (
        Simulator(SimulatorConfig(shards=8)) as discord,
        supervise(
            *("--fatal", str(code), "--only-shard", "1", "--state", "permit_wait"),
            processes=2,
            api_url=discord.api_url,
            token=discord.token,
            url=None,
        ) as supervisor,
    ):
        assert await supervisor.wait() == EX_CONFIG

    [stopping] = [record.event_fields for record in caplog.records if record.message == "service.stopping"]
    assert "GATEWAY_SHARD_COUNT is 2; Discord recommends 8 now" in stopping["reason"]


async def test_a_gateway_that_does_not_work_any_more_is_asked_for_again(supervise, journal):
    limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
    gone = {"url": "ws://127.0.0.1:9", "shards": 2, "session_start_limit": limit}
    async with Simulator() as discord:
        discord.answer("/gateway/bot", ScriptedAnswer(status=200, body=json.dumps(gone).encode()))
        async with supervise(
            "--lose-gateway", "--only-shard", "1", processes=2, api_url=discord.api_url, token=discord.token, url=None
        ) as supervisor:

            def who_know():  # a process that starts late is configured with the new one
                told = {entry["pid"] for entry in journal("gateway_url")}
                given = {entry["pid"] for entry in journal("configured") if entry["gateway_url"] == discord.gateway_url}
                return told | given

            await until(lambda: len(who_know()) == 2)
            os.kill(supervisor.snapshot().processes[0].pid, signal.SIGKILL)
            await until(lambda: len(journal("configured")) == 3)

    assert {entry["url"] for entry in journal("gateway_url")} == {discord.gateway_url}
    first, late, again = (entry["gateway_url"] for entry in journal("configured"))
    assert (first, again) == (gone["url"], discord.gateway_url)
    assert late in (gone["url"], discord.gateway_url)


async def test_the_service_ends_when_no_shard_is_left(supervise):
    async with supervise("--fatal", "4010", shard_count=1) as supervisor:
        assert await supervisor.wait() == EX_CONFIG


async def test_leaving_drains(supervise, journal):
    async with supervise(processes=2) as supervisor:
        await all_running(supervisor, 2)
        pids = [process.pid for process in supervisor.snapshot().processes]

    assert await supervisor.wait() == EX_OK
    assert [entry["timeout_s"] for entry in journal("drain")] == [1.0, 1.0]
    assert {process.state for process in supervisor.snapshot().processes} == {"STOPPED"}
    assert not any(map(is_alive, pids))


async def test_a_child_that_does_not_drain_is_killed_at_the_deadline(supervise):
    async with supervise("--ignore-drain", policy={"kill_after_s": 0.3}) as supervisor:
        [process] = await all_running(supervisor)

    assert not is_alive(process.pid)


async def test_stopping_while_children_start_ends_them(supervise, journal):
    async with supervise() as supervisor:
        pass

    assert await supervisor.wait() == EX_OK
    assert not any(is_alive(entry["pid"]) for entry in journal("started"))


async def test_being_cancelled_while_draining_kills(supervise):
    supervisor = supervise("--ignore-drain", policy={"kill_after_s": 60.0})
    await supervisor.__aenter__()
    [process] = await all_running(supervisor)
    leaving = asyncio.ensure_future(supervisor.__aexit__(None, None, None))
    await until(lambda: supervisor.snapshot().processes[0].state == "STOPPING")

    leaving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await leaving
    await until(lambda: not is_alive(process.pid))


async def test_permits_carry_the_presence_of_their_shard(supervise, journal):
    async with supervise(
        "--identify", shard_count=1, presence=lambda shard_id: {"status": "dnd", "afk": shard_id == 0}
    ):
        [permit] = await until(lambda: journal("permit"))

    assert (permit["shard_id"], permit["presence"]) == (0, {"status": "dnd", "afk": True})


async def test_the_lowest_shard_identifies_first_also_when_its_process_is_slow_to_start(supervise, journal):
    async with supervise("--identify", "--slow-shard", "0", processes=2):
        first = await until(lambda: journal("permit"))

    assert [permit["shard_id"] for permit in first] == [0]


async def test_permits_keep_their_spacing_over_a_restart_of_the_service(supervise, journal):
    async with supervise("--identify", shard_count=1):
        await until(lambda: journal("permit"))
    async with supervise("--identify", shard_count=1):
        first, second = await until(lambda: len(journal("permit")) == 2 and journal("permit"))

    assert second["at"] - first["at"] >= 5.0


@pytest.fixture
async def discord():
    async with Simulator(SimulatorConfig(shards=3, max_concurrency=3, identify_remaining=2)) as simulator:
        yield simulator


async def test_discord_is_asked_for_what_the_options_leave_open(supervise, discord, journal, caplog):
    caplog.set_level("INFO")
    changes = {"url": None, "api_url": discord.api_url, "token": discord.token, "shard_count": "auto"}
    async with supervise(processes=3, **changes) as supervisor:
        await all_running(supervisor, 3)

    assert supervisor.snapshot().num_shards == 3
    assert {entry["gateway_url"] for entry in journal("configured")} == {discord.gateway_url}
    [told] = [record for record in caplog.records if record.message == "gateway.info"]
    assert (told.levelname, told.event_fields["identifies_remaining"]) == ("WARNING", 2)


async def test_a_shard_beyond_the_recommended_count_ends_the_start(supervise, discord):
    changes = {"url": None, "api_url": discord.api_url, "token": discord.token, "shard_count": "auto"}
    with pytest.raises(ConfigurationError, match="names shard 7, but the shard count is 3"):
        async with supervise(shards=[7], **changes):
            pass


async def test_a_token_that_discord_does_not_know_ends_the_start(supervise, discord):
    with pytest.raises(TokenRefused):
        async with supervise(url=None, api_url=discord.api_url):
            pass


async def test_an_unreachable_broker_ends_the_start(options):
    def refuse(url):
        raise BrokerUnavailable(url.rpartition("@")[2], "connection refused")

    with pytest.raises(BrokerUnavailable, match="connection refused"):
        async with Supervisor(options(), connect_broker=refuse):
            pass


async def test_the_real_broker_check_names_the_broker_without_its_password(options):
    with pytest.raises(BrokerUnavailable) as caught:
        async with Supervisor(options()):
            pass

    assert "127.0.0.1" in str(caught.value)
    assert "secret-password" not in str(caught.value)


async def test_a_program_that_is_not_there_ends_the_service(options):
    policy = Policy(first_backoff_s=0.01, max_exits=2)
    async with Supervisor(options(), policy=policy, command=["/no/such/program"], connect_broker=accept) as supervisor:
        assert await supervisor.wait() == EX_SOFTWARE


async def test_a_presence_that_cannot_be_imported_ends_the_start(supervise):
    with pytest.raises(ConfigurationError, match=r"presence: cannot import 'no\.such:function'"):
        async with supervise(presence="no.such:function"):
            pass
