"""The search for secrets finds them, or its silence would mean nothing."""

import pytest

from gateway_service.simulator import SimulatorConfig
from gateway_service.simulator.sessions import SESSION_ID_PREFIX
from tests.support.secrecy import MARK, secrets_below, secrets_in, seen


@pytest.mark.parametrize(
    "secret",
    [
        f"control-token-{MARK}",
        SimulatorConfig().token,
        SimulatorConfig(bot_id=7).token,
        f"{SESSION_ID_PREFIX}0123456789abcdef01234567",
        "amqp://guest:guest@127.0.0.1:5672//",
        "redis://:x@127.0.0.1",
    ],
)
def test_a_secret_is_found_with_what_is_around_it(secret):
    [found] = secrets_in(f'{{"event": "a", "url": "{secret}"}}')

    assert '"event": "a"' in found
    with pytest.raises(AssertionError):
        seen(f"x {secret} y")


@pytest.mark.parametrize(
    "text", ["amqp://guest:**@127.0.0.1:5672//", "amqp://guest:***@h", "http://127.0.0.1:80/@me", "a" * 32]
)
def test_what_is_masked_or_harmless_is_none(text):
    assert seen(text) == text


def test_logs_are_searched_in_every_folder_and_nothing_else(tmp_path):
    for name in ("deep/down/service.log", "tokens", "spool/0.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\n" + f"token-{MARK}".encode())

    [found] = secrets_below(tmp_path)
    (tmp_path / "deep/down/service.log").unlink()  # or this run would not pass its own search

    assert found.startswith(f"{tmp_path / 'deep/down/service.log'}: ")


def test_what_a_test_reads_of_its_own_output_is_searched(capsys):
    print(f"token-{MARK}")  # noqa: T201

    with pytest.raises(AssertionError):
        capsys.readouterr()
