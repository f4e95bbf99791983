"""The command that shows the ledger."""

import json

import pytest
from click.testing import CliRunner

from gateway_service.cli.ledger import ledger
from gateway_service.errors import StateUnavailable
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.state import Namespace, open_state
from tests.support.secrecy import seen

TOKEN = "MTAw.simulated.not-a-secret"


def account(session, **changes):
    defaults = {"shard_id": 0, "num_shards": 2, "opened_at": 1.0, "first_seq": 1, "seq": 9, "heard_at": 2.0}
    return SessionLedger(session=session, **{**defaults, "received": 9, "published": 9, **changes})


@pytest.fixture
def run(tmp_path):
    """Store ledgers, run the command, return its exit code and output."""

    def run(*ledgers, flags=()):
        url = f"sqlite:///{tmp_path / 'state.db'}"
        state = open_state(url, Namespace("100", 2))
        state.save([], ledgers=ledgers)
        state.close()
        environment = {"DISCORD_TOKEN": TOKEN, "GATEWAY_STATE_URL": url, "COLUMNS": "40"}
        result = CliRunner(env=environment).invoke(ledger, flags, standalone_mode=False)
        seen(result.output)
        return result.return_value, result.output

    return run


def test_a_balanced_ledger_is_a_table_with_totals(run):
    code, output = run(account("first"), account("second", shard_id=1, received=5, published=5, seq=5))

    assert code == 0
    assert [line.split() for line in output.splitlines()[1:4]] == [
        ["0", "first", "9", "9", "0", "0", "0", "0", "ok"],
        ["1", "second", "5", "5", "0", "0", "0", "0", "ok"],
        ["total", "14", "14", "0", "0", "0", "0"],
    ]
    assert output.endswith("All 2 sessions balance.\n")


def test_the_table_of_a_large_bot_fits_a_terminal_of_80_columns(run):
    _, output = run(
        account(
            "4292fc8ae754f1ae",
            shard_id=1023,
            num_shards=1024,
            seq=123_456_789,
            received=123_456_789,
            published=123_000_000,
            spooled=400_000,
            in_flight=789,
            filtered=56_000,
            gaps=12,
        )
    )

    assert "123456789  123000000   400789     56000" in output
    assert max(map(len, output.splitlines()[:3])) <= 80


def test_while_there_are_two_shard_counts_each_shard_is_told_with_its_own(run):
    _, output = run(account("first"), account("second", num_shards=4))

    assert [line.split()[0] for line in output.splitlines()[1:3]] == ["0/2", "0/4"]


def test_one_that_does_not_balance_ends_with_1_and_the_reason(run):
    code, output = run(account("first", published=8))

    assert code == 1
    assert "session first: 9 dispatches were received and 8 are accounted for" in output
    assert "WRONG" in output
    assert output.endswith("1 of 1 sessions does not balance.\n")


def test_gaps_are_told_with_their_reason(run):
    _, output = run(account("first", gaps=1, ended="Discord invalidated it (op 9)"))

    assert "session first: 1 gap: Discord invalidated it (op 9)" in output
    assert output.endswith("All 1 sessions balance, 1 told as GATEWAY_GAP.\n")


def test_as_json_it_is_one_object(run):
    code, output = run(account("first", published=8), flags=["--json"])
    told = json.loads(output)

    assert (code, told["balanced"], told["totals"]["published"]) == (1, False, 8)
    assert told["sessions"][0]["faults"] == ["9 dispatches were received and 8 are accounted for"]


def test_a_store_that_is_not_there_proves_nothing_and_is_not_made(tmp_path):
    path = tmp_path / "state.db"
    environment = {"DISCORD_TOKEN": TOKEN, "GATEWAY_STATE_URL": f"sqlite:///{path}"}

    result = CliRunner(env=environment).invoke(ledger, standalone_mode=False)

    assert isinstance(result.exception, StateUnavailable)
    assert "call this in the folder of the service" in str(result.exception)
    assert not path.exists()


def test_without_a_session_there_is_nothing_to_doubt(run):
    assert run()[0] == 0
