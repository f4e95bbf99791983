"""Flower without our page is still Flower."""

from types import SimpleNamespace

import pytest

from gateway_service.flower.application import FlowerChanged, ShardsLoader
from gateway_service.flower.handlers import must_be_local, why_not
from gateway_service.flower.install import install


def test_a_flower_of_another_make_starts_as_it_is_and_says_so_in_one_line(capsys):
    command = SimpleNamespace()

    install(command)

    assert vars(command) == {}
    [line] = capsys.readouterr().err.splitlines()
    assert "starts without the Shards page" in line


def test_an_application_that_cannot_have_the_page_is_the_plain_one(capsys, tmp_path):
    plain = SimpleNamespace
    command = SimpleNamespace(Flower=plain)

    install(command)
    made = command.Flower(options=None, template_path=str(tmp_path))

    assert made == SimpleNamespace(options=None, template_path=str(tmp_path))
    assert "navbar.html" in capsys.readouterr().err


def test_a_navigation_without_a_list_is_not_ours_to_extend(tmp_path):
    (tmp_path / "navbar.html").write_text("<nav></nav>")

    with pytest.raises(FlowerChanged, match=r"its navbar\.html has no </ul>"):
        ShardsLoader(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "is_open", "words"),
    [
        ({"basic_auth": ["a:b"], "auth": ""}, False, ""),
        ({"basic_auth": [], "auth": ""}, True, ""),
        ({"basic_auth": [], "auth": ""}, False, "without authentication"),
        ({"basic_auth": ["a:b"], "auth": "", "read_only": True}, False, "read-only"),
    ],
)
def test_the_page_says_why_it_does_not_act(options, is_open, words):
    sentence = why_not(SimpleNamespace(**options), is_open=is_open)

    assert words in sentence
    assert bool(sentence) == bool(words)


@pytest.mark.parametrize(
    ("address", "basic_auth", "is_open", "is_local"),
    [
        ("127.0.0.1", [], True, True),
        ("localhost", [], True, True),
        ("", [], True, False),
        ("10.0.0.7", [], True, False),
        ("127.0.0.1", ["a:b"], True, False),
        ("127.0.0.1", [], False, False),
    ],
)
def test_only_an_open_flower_on_loopback_knows_its_names(address, basic_auth, is_open, is_local):
    options = SimpleNamespace(address=address, basic_auth=basic_auth, auth="")

    assert must_be_local(options, is_open=is_open) is is_local
