import pytest

from gateway_service.control.tokens import read_tokens, strongest_token
from gateway_service.errors import ConfigurationError
from gateway_service.refusals import Forbidden, Unauthorized
from gateway_service.telemetry import redact

READ, CONTROL = "read-0123456789abcdef", "control-0123456789abcdef"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# who may do what\n\ndashboard read {READ}\noperator control {CONTROL}\n")
    return path


def test_a_token_has_a_name_and_a_scope(file):
    tokens = read_tokens(file)

    assert tokens.authorize(f"Bearer {READ}", "read") == "dashboard"
    assert tokens.authorize(f"bearer {CONTROL}", "control") == "operator"
    with pytest.raises(Forbidden, match="'dashboard' has the scope 'read'"):
        tokens.authorize(f"Bearer {READ}", "control")


@pytest.mark.parametrize("header", [None, "", "Bearer", f"Basic {CONTROL}", f"Bearer {CONTROL}x", "Bearer \udc80"])
def test_another_header_is_refused(file, header):
    with pytest.raises(Unauthorized):
        read_tokens(file).authorize(header, "read")


def test_without_tokens_anyone_may():
    tokens = read_tokens(None)

    assert not tokens
    assert tokens.authorize(None, "control") == "anyone"


def test_our_commands_send_the_strongest(file):
    assert strongest_token(file) == CONTROL
    assert strongest_token(None) is None


def test_tokens_are_masked_from_then_on(file):
    read_tokens(file)

    assert redact(f"sent {CONTROL}") == "sent ***"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("operator control short", "line 1 of"),
        (f"operator write {READ}", "line 1 of"),
        (f"operator {READ}", "line 1 of"),
        ("# nothing\n", "has no token in it"),
    ],
)
def test_a_bad_file_is_one_sentence_without_the_token(tmp_path, text, sentence):
    path = tmp_path / "tokens"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=sentence) as refused:
        read_tokens(path)

    assert READ not in str(refused.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match=r"control_tokens_file: .*none cannot be read: No such file"):
        read_tokens(tmp_path / "none")


def test_a_token_that_no_header_carries_is_refused(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("operator control pässword-of-the-operator\n", "utf-8")

    with pytest.raises(ConfigurationError, match=r"line 1 of .*: a token must be ASCII"):
        read_tokens(file)
