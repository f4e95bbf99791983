"""A start that cannot work says why in one line, and ends with the documented exit code."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway_service.errors import EX_CONFIG, EX_UNAVAILABLE, EX_USAGE
from tests.support.secrecy import seen

NOBODY_LISTENS = "127.0.0.1:9"  # the discard port, closed on any machine of our time
TIMEOUT_S = 150.0


@dataclass(frozen=True)
class BadStart:
    """What is wrong, and what is said about it. ``{taken}`` is where another program listens."""

    flags: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    code: int = EX_CONFIG
    line: str = ""


BAD_STARTS = {
    "no token": BadStart(
        env={"DISCORD_TOKEN": ""},
        line="DISCORD_TOKEN: is not set; it is the bot token shown under Bot in the developer portal",
    ),
    "a token with a line break": BadStart(
        env={"DISCORD_TOKEN": "abc.def\nghi"},
        line="DISCORD_TOKEN: has white space or a line break in it; give the token alone",
    ),
    "a token that Discord refuses": BadStart(
        env={"DISCORD_TOKEN": "MTIz.not.known"},
        line="Discord refused the bot token (HTTP 401): set DISCORD_TOKEN to the token shown under Bot in the "
        "developer portal",
    ),
    "a token file that is not there": BadStart(
        flags=("--token-file", "nowhere"),
        line="--token-file: nowhere cannot be read: No such file or directory",
    ),
    "unknown intents": BadStart(
        flags=("--intents", "GUILDS,GUILD_MESAGES"),
        line="--intents: 'GUILD_MESAGES' is not an intent; did you mean 'GUILD_MESSAGES'?",
    ),
    "a broker that is not there": BadStart(
        env={"GATEWAY_BROKER_URL": f"amqp://me:hidden@{NOBODY_LISTENS}//"},
        code=EX_UNAVAILABLE,
        line=f"the broker at amqp://{NOBODY_LISTENS}// is not available: [Errno 111] Connection refused "
        "(see GATEWAY_BROKER_URL)",
    ),
    "a Redis that is not there": BadStart(
        env={"GATEWAY_BROKER_URL": f"redis://:hidden@{NOBODY_LISTENS}/0"},
        code=EX_UNAVAILABLE,
        line=f"the broker at redis://{NOBODY_LISTENS}/0 is not available: ",
    ),
    "an API that is not there": BadStart(
        env={"GATEWAY_API_URL": f"http://{NOBODY_LISTENS}/api/v10"},
        code=EX_UNAVAILABLE,
        line=f"Discord's API at http://{NOBODY_LISTENS}/api/v10 is not available: ",
    ),
    "a state file that cannot be": BadStart(
        env={"GATEWAY_STATE_URL": "sqlite:////proc/state.db", "GATEWAY_BROKER_URL": "memory://"},
        code=EX_UNAVAILABLE,
        line="the state store at /proc/state.db is not available: ",
    ),
    "a control API that anybody could reach": BadStart(
        env={"GATEWAY_CONTROL_ADDRESS": "0.0.0.0:9420"},
        line="control_address: 0.0.0.0:9420 can be reached from other machines, so it needs tokens: set "
        "control_tokens_file, or use 127.0.0.1 (GATEWAY_CONTROL_ADDRESS, GATEWAY_CONTROL_TOKENS_FILE)",
    ),
    "an address that another program has": BadStart(
        env={"GATEWAY_CONTROL_ADDRESS": "{taken}"},
        code=EX_UNAVAILABLE,
        line="control_address: {taken} cannot be used: Address already in use; give this service an address of its "
        "own, or 'off' (GATEWAY_CONTROL_ADDRESS)",
    ),
    "tracing without its packages": BadStart(
        flags=("--tracing",),
        files={"opentelemetry/__init__.py": b""},
        line="tracing: is on, but OpenTelemetry is not installed: pip install 'gateway-service[otel]' "
        "(GATEWAY_TRACING)",
    ),
    "an exporter that is not installed": BadStart(
        env={"GATEWAY_TRACING": "yes", "OTEL_TRACES_EXPORTER": "carrier-pigeon"},
        line="OTEL_TRACES_EXPORTER: no exporter 'carrier-pigeon' is installed; the default, 'otlp', comes with "
        "pip install 'gateway-service[otel]'",
    ),
    "a state store that is not there": BadStart(
        env={"GATEWAY_STATE_URL": f"redis://:hidden@{NOBODY_LISTENS}/0", "GATEWAY_BROKER_URL": "memory://"},
        code=EX_UNAVAILABLE,
        line=f"the state store at redis://:***@{NOBODY_LISTENS}/0 is not available: ",
    ),
    "a pod without a shard": BadStart(
        flags=("--shard-count", "32", "--shards-per-pod", "8", "--ordinal", "4"),
        line="--ordinal: pod 4 would begin at shard 32, but the shard count is 32: with 8 in each, pods go from 0 to 3",
    ),
    "a shard that does not exist": BadStart(
        flags=("--shard-count", "32", "--shards", "30-32"),
        line="--shards: names shard 32, but the shard count is 32: ids go from 0 to 31",
    ),
    "a shard beyond what Discord recommends": BadStart(
        flags=("--shards", "7"),
        line="shards: names shard 7, but the shard count is 2: ids go from 0 to 1",
    ),
    "no shards at all": BadStart(
        flags=("--shard-count", "0"),
        line="--shard-count: must be from 1 to 100000, not 0",
    ),
    "an unknown variable": BadStart(
        env={"GATEWAY_SHARD_COUTN": "3"},
        line="GATEWAY_SHARD_COUTN: unknown setting; did you mean 'GATEWAY_SHARD_COUNT'?",
    ),
    "an unknown key": BadStart(
        files={"gateway.toml": b"shard_cuont = 3\n"},
        line="gateway.toml: unknown setting 'shard_cuont'; did you mean 'shard_count'?",
    ),
    "an unknown flag": BadStart(flags=("--shard-cuont", "3"), code=EX_USAGE),
    "a file that is no TOML": BadStart(
        files={"gateway.toml": b"shard_count = 3\nintents = \n"},
        line="gateway.toml: is not valid TOML: Invalid value (at line 2, column 11)",
    ),
    "a file that is not there": BadStart(
        flags=("--config", "nowhere.toml"),
        line="nowhere.toml: cannot be read: No such file or directory",
    ),
}


@pytest.fixture(scope="module")
def simulator():
    """The announcement of a simulator that runs as its own process."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway_service", "simulate", "--shards", "2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.stdout.read()


@pytest.fixture(scope="module")
def results(simulator, tmp_path_factory):
    """Standard error and exit code of each bad start; all run at once, because one of them waits between tries."""
    processes = {name: start(bad, simulator, tmp_path_factory.mktemp("start")) for name, bad in BAD_STARTS.items()}
    outcomes = {}
    try:
        for name, process in processes.items():
            _, error = process.communicate(timeout=TIMEOUT_S)
            outcomes[name] = (process.returncode, seen(error))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return outcomes


def start(bad: BadStart, simulator: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    for name, content in bad.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "DISCORD_"))}
    clean.pop("CELERY_BROKER_URL", None)
    good = {
        "DISCORD_TOKEN": simulator["token"],
        "GATEWAY_API_URL": simulator["api_url"],
        "GATEWAY_BROKER_URL": f"redis://{NOBODY_LISTENS}/0",
        "GATEWAY_STATE_URL": f"sqlite:///{folder}/state.db",
        "GATEWAY_CONTROL_ADDRESS": "127.0.0.1:0",
    }
    wrong = {name: value.replace("{taken}", taken(simulator)) for name, value in bad.env.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway_service", "start", *bad.flags],
        env={**clean, **good, **wrong},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def taken(simulator: dict[str, str]) -> str:
    return urlsplit(simulator["api_url"]).netloc


@pytest.mark.parametrize("name", BAD_STARTS)
def test_a_bad_start_ends_with_the_documented_exit_code(results, name):
    assert results[name][0] == BAD_STARTS[name].code


@pytest.mark.parametrize("name", [name for name, bad in BAD_STARTS.items() if bad.line])
def test_a_bad_start_says_why_in_one_line(results, simulator, name):
    said = [line for line in results[name][1].splitlines() if line.startswith("gateway-service: ")]

    assert len(said) == 1
    assert said[0].startswith("gateway-service: " + BAD_STARTS[name].line.replace("{taken}", taken(simulator)))


@pytest.mark.parametrize("name", BAD_STARTS)
def test_a_bad_start_shows_neither_a_traceback_nor_a_secret(results, simulator, name):
    error = results[name][1]

    assert "Traceback" not in error
    assert "hidden" not in error
    assert simulator["token"] not in error


def test_an_unknown_flag_shows_the_usage(results):
    assert results["an unknown flag"][1].startswith("Usage: gateway-service start")
