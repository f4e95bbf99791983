"""The command line: what it lists, and what becomes of errors."""

import logging
import subprocess
import sys

import click
import pytest

from gateway_service import __name__ as package
from gateway_service.cli.flags import setting_flags
from gateway_service.cli.main import COMMANDS, cli, report, run
from gateway_service.errors import (
    EX_CONFIG,
    EX_INTERRUPTED,
    EX_OK,
    EX_SOFTWARE,
    EX_UNAVAILABLE,
    EX_USAGE,
    BrokerUnavailable,
    ConfigurationError,
    FatalClose,
    TokenRefused,
)
from gateway_service.settings import SETTINGS


def command(name):
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def test_help_names_every_command(capsys):
    assert run(["--help"]) == EX_OK

    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_listed_line_is_the_first_of_the_commands_own_help(name):
    assert COMMANDS[name][1] == command(name).get_short_help_str(limit=200)


def test_start_has_a_flag_for_every_setting_that_has_one():
    flags = {flag for param in command("start").params for flag in param.opts}

    assert {setting.flag for setting in SETTINGS if setting.flag} | {"--config"} == flags


def test_no_flag_takes_the_token():
    assert not any("--token" in param.opts for name in ("start", "doctor") for param in command(name).params)


def test_the_help_of_start_says_where_the_token_goes():
    start = command("start")

    assert "The token has no flag" in start.get_help(click.Context(start))


def test_a_flag_completes_its_choices():
    @click.command()
    @setting_flags
    def somewhere(**flags):
        del flags

    (level,) = [param for param in somewhere.params if param.name == "log_level"]

    assert [item.value for item in level.shell_complete(click.Context(somewhere), "d")] == ["debug"]


@pytest.mark.parametrize("arguments", [["strat"], ["start", "--shard-cout", "3"], ["start", "extra"]])
def test_a_wrong_command_line_shows_the_usage(arguments, capsys):
    assert run(arguments) == EX_USAGE
    assert capsys.readouterr().err.startswith("Usage: gateway-service")


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ConfigurationError("A: is bad"), EX_CONFIG, ["gateway-service: A: is bad"]),
        (ConfigurationError("A: x", "B: y"), EX_CONFIG, ["gateway-service: A: x", "gateway-service: B: y"]),
        (
            BrokerUnavailable("amqp://me:hidden@host//", "refused"),
            EX_UNAVAILABLE,
            ["gateway-service: the broker at amqp://me:***@host// is not available: refused (see GATEWAY_BROKER_URL)"],
        ),
        (
            FatalClose(3, 4013, "invalid intents"),
            EX_CONFIG,
            ["gateway-service: Discord closed shard 3 with 4013: invalid intents"],
        ),
        (
            ExceptionGroup("group", [ConfigurationError("A: is bad")]),
            EX_CONFIG,
            ["gateway-service: A: is bad"],
        ),
        (
            ZeroDivisionError("no"),
            EX_SOFTWARE,
            ["gateway-service: a fault in this program: ZeroDivisionError: no; GATEWAY_LOG_LEVEL=debug shows where"],
        ),
    ],
)
def test_an_error_becomes_its_line_and_its_exit_code(error, code, lines, capsys):
    assert report(error) == code
    assert capsys.readouterr().err.splitlines() == lines


def test_a_fault_of_ours_shows_where_at_the_debug_level(capsys):
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        code = report(ZeroDivisionError("division by zero"))
    finally:
        root.setLevel(before)

    assert code == EX_SOFTWARE
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_the_variable_shows_where_for_commands_without_a_log_level_and_hides_secrets(capsys):
    with pytest.raises(ValueError, match="hidden") as raised:
        int("amqp://me:hidden@host//")
    code = report(raised.value, {"GATEWAY_LOG_LEVEL": "DEBUG"})

    printed = capsys.readouterr().err
    assert code == EX_SOFTWARE
    assert "Traceback" in printed
    assert "test_main.py" in printed
    assert "hidden" not in printed


def test_a_first_word_is_completed_with_its_help():
    completed = cli.shell_complete(click.Context(cli), "st")

    assert [(item.value, item.help) for item in completed] == [
        (name, COMMANDS[name][1]) for name in ("start", "status")
    ]


def test_completing_a_first_word_imports_no_command():
    code = (
        "import sys, click\n"
        "from gateway_service.cli.main import COMMANDS, cli\n"
        "cli.shell_complete(click.Context(cli), '')\n"
        "print(*({path.partition(':')[0] for path, _ in COMMANDS.values()} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize(
    ("raised", "code"),
    [(KeyboardInterrupt(), EX_INTERRUPTED), (TokenRefused(), EX_CONFIG), (click.UsageError("no"), EX_USAGE)],
)
def test_what_a_command_raises_becomes_an_exit_code(raised, code, capsys):
    @click.command()
    def broken():
        raise raised

    assert run([], broken) == code
    assert "Traceback" not in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    assert run(["--version"]) == EX_OK
    assert capsys.readouterr().out.startswith(package.replace("_", "-"))
