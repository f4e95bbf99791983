"""``gateway-service doctor`` on real parts."""

import asyncio
import json
import os
import sys

import pytest

from gateway_service.doctor import examine
from gateway_service.errors import EX_OK, EX_UNAVAILABLE
from gateway_service.simulator import Simulator, SimulatorConfig
from gateway_service.state import Namespace, open_state
from tests.support.secrecy import seen


@pytest.fixture
async def simulator():
    async with Simulator(SimulatorConfig(shards=2)) as running:
        yield running


@pytest.fixture
def env(simulator, valkey_url, tmp_path):
    return {
        "DISCORD_TOKEN": simulator.token,
        "GATEWAY_API_URL": simulator.api_url,
        "GATEWAY_BROKER_URL": valkey_url,
        "GATEWAY_STATE_URL": f"sqlite:///{tmp_path}/state.db",
        "GATEWAY_SPOOL_DIR": str(tmp_path / "spool"),
    }


async def verdicts(env):
    return {finding.check: finding.verdict for finding in await examine({}, env, None)}


async def test_everything_is_well_when_everything_is_there(env):
    assert await verdicts(env) == dict.fromkeys(
        ("settings", "token", "clock", "broker", "spool", "state", "shards"), "ok"
    )


async def test_rabbitmq_is_tried_as_the_publisher_would(env, rabbitmq_url):
    assert (await verdicts({**env, "GATEWAY_BROKER_URL": rabbitmq_url}))["broker"] == "ok"


async def test_the_state_is_tried_where_it_is(env, valkey_url):
    away = "redis://me:hidden@127.0.0.1:9/0"
    [found] = [each for each in await examine({}, {**env, "GATEWAY_STATE_URL": away}, None) if each.check == "state"]

    assert (await verdicts({**env, "GATEWAY_STATE_URL": valkey_url}))["state"] == "ok"
    assert (found.verdict, found.exit_code) == ("fail", EX_UNAVAILABLE)
    assert found.message.startswith("the state store at redis://me:***@127.0.0.1:9/0 is not available: ")


async def test_a_state_store_that_evicts_is_warned_of(env, evicting_url):
    assert (await verdicts({**env, "GATEWAY_STATE_URL": evicting_url}))["state"] == "warn"


async def test_the_spool_is_tried_where_it_is(env, tmp_path):
    (tmp_path / "spool").write_text("a file")
    [found] = [each for each in await examine({}, env, None) if each.check == "spool"]

    assert (found.verdict, found.exit_code) == ("fail", EX_UNAVAILABLE)
    assert f"it cannot be made or written: {tmp_path}/spool is no folder that this user may write" in found.message
    assert (await verdicts({**env, "GATEWAY_SPOOL_MAX_BYTES": "0"}))["spool"] == "ok"


async def test_nothing_is_made_that_would_be_of_another_user_than_the_service(env, tmp_path):
    there = {**env, "GATEWAY_STATE_URL": f"sqlite:///{tmp_path}/.gateway/state.db"}
    there["GATEWAY_SPOOL_DIR"] = str(tmp_path / ".gateway/spool")

    found = await examine({}, there, None)

    assert {finding.verdict for finding in found} == {"ok"}
    assert f"{tmp_path}/.gateway/state.db is not there yet; a start makes it" in str(found)
    assert list(tmp_path.iterdir()) == []


async def test_a_state_file_is_tried_that_is_there(env, tmp_path):
    open_state(env["GATEWAY_STATE_URL"], Namespace.of(env["DISCORD_TOKEN"], 2)).close()
    (state,) = [each for each in await examine({}, env, None) if each.check == "state"]

    assert state.message.endswith("/state.db is writable, 0 sessions to resume")

    folder = f"sqlite:///{tmp_path}/state.db/state.db"
    (state,) = [each for each in await examine({}, {**env, "GATEWAY_STATE_URL": folder}, None) if each.check == "state"]

    assert state.exit_code == EX_UNAVAILABLE
    assert f"it cannot be made: {tmp_path}/state.db is no folder that this user may write" in state.message


async def test_a_wrong_token_does_not_hide_the_state_of_the_rest(env):
    found = await verdicts({**env, "DISCORD_TOKEN": "MTIz.not.known"})

    assert (found["token"], found["broker"], found["state"], found["shards"]) == ("fail", "ok", "ok", "skip")


async def test_a_wrong_setting_leaves_nothing_else_to_check(env):
    found = await verdicts({**env, "GATEWAY_SHARD_COUNT": "0"})

    assert found == {"settings": "fail"} | dict.fromkeys(
        ("token", "clock", "broker", "spool", "state", "shards"), "skip"
    )


async def run(env, *flags):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "DISCORD_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway_service", "doctor", *flags),
        env={**clean, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, error = await process.communicate()
    assert error == b""
    return process.returncode, seen(output.decode())


async def test_one_line_tells_of_each_check(env):
    code, output = await run(env)

    assert code == EX_OK
    assert [line.split()[:2] for line in output.splitlines()] == [
        ["ok", check] for check in ("settings", "token", "clock", "broker", "spool", "state", "shards")
    ]


async def test_json_has_the_cure_of_what_fails(env):
    code, output = await run({**env, "GATEWAY_BROKER_URL": "amqp://me:hidden@127.0.0.1:9//"}, "--json")

    (broker,) = [finding for finding in json.loads(output) if finding["check"] == "broker"]
    assert (code, broker["verdict"], broker["exit_code"]) == (EX_UNAVAILABLE, "fail", EX_UNAVAILABLE)
    assert broker["cure"] == "start the broker, or set GATEWAY_BROKER_URL to one that runs"
    assert "hidden" not in output
