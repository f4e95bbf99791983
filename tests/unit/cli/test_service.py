"""How what failed is told to people."""

import json

import click
import pytest

from gateway_service.cli.main import run
from gateway_service.cli.service import Caller, failures_as_json
from gateway_service.errors import EX_CONFIG, EX_REFUSED, EX_UNAVAILABLE, BrokerUnavailable, ConfigurationError


def failure(message, shard_id=None, host="gateway@there"):
    return {"code": "not_ready", "message": message, "shard_id": shard_id, "host": host}


@pytest.mark.parametrize(
    ("failures", "lines"),
    [
        ([failure("its store is away", shard_id) for shard_id in (4, 5, 7)], [" (shards 4-5,7 of gateway@there)"]),
        ([failure("its store is away")], [""]),
        ([failure("its store is away", 4), failure("its store is away", 8, "gateway@third")], ["", ""]),
    ],
)
def test_what_shards_of_a_host_have_in_common_is_one_line(capsys, failures, lines):
    code = Caller(None, as_json=False).say({"failures": failures}, "shown by shards 0-3")

    printed = capsys.readouterr()
    assert (code, printed.out) == (EX_REFUSED, "shown by shards 0-3\n")
    assert printed.err.splitlines() == [f"not_ready: its store is away{line}" for line in lines]


def test_a_terminal_does_not_obey_a_refusal(capsys):
    Caller(None, as_json=False).say({"failures": [failure("\x1b]0;owned\x07")]}, "")

    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "failures"),
    [
        (ConfigurationError("A: x", "B: y"), EX_CONFIG, [("misconfigured", "A: x"), ("misconfigured", "B: y")]),
        (
            BrokerUnavailable("amqp://me:hidden@host//", "refused"),
            EX_UNAVAILABLE,
            [("unavailable", "the broker at amqp://me:***@host// is not available: refused")],
        ),
    ],
)
def test_why_there_is_no_answer_is_json_too(error, code, failures, capsys):
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    @failures_as_json
    def broken(*, as_json):
        del as_json
        raise error

    assert run(["--json"], broken) == code
    printed = json.loads(capsys.readouterr().out)
    assert [(each["code"], each["message"]) for each in printed["failures"]] == failures


@pytest.mark.parametrize("command", ["status", "drain", "ledger"])
def test_a_file_of_settings_that_is_not_there_is_told_as_json(command, tmp_path, capsys):
    assert run([command, "--json", "--config", str(tmp_path / "none.toml")]) == EX_CONFIG
    assert json.loads(capsys.readouterr().out)["failures"]
