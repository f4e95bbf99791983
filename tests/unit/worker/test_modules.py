import sys

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.worker.modules import import_tree


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package directory on the path; its modules are forgotten again."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    directory = tmp_path / "bot"
    directory.mkdir()
    (directory / "__init__.py").touch()
    yield directory
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_package_is_imported_with_everything_in_it(package):
    (package / "messages.py").touch()
    (package / "deeper").mkdir()
    (package / "deeper" / "__init__.py").touch()
    (package / "deeper" / "members.py").touch()

    names = {module.__name__ for module in import_tree("bot")}

    assert names == {"bot", "bot.messages", "bot.deeper", "bot.deeper.members"}


def test_a_program_inside_a_package_is_not_run(package):
    (package / "__main__.py").write_text("raise SystemExit")

    assert [module.__name__ for module in import_tree("bot")] == ["bot"]


def test_a_single_module_is_imported_alone(package):
    (package / "messages.py").touch()
    (package / "members.py").touch()

    assert [module.__name__ for module in import_tree("bot.messages")] == ["bot.messages"]


@pytest.mark.parametrize("name", ["bots", "bots.messages", "bot.messages"])
@pytest.mark.usefixtures("package")
def test_a_module_that_does_not_exist_is_named(name):
    missing = "bots" if name.startswith("bots") else name

    with pytest.raises(ConfigurationError, match=f"^GATEWAY_TASKS: there is no module '{missing}' in the working"):
        import_tree(name)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "\nimport nothing_like_it\n",
            r"ModuleNotFoundError: No module named 'nothing_like_it' \(messages.py, line 2\)",
        ),
        ("\n1 / 0\n", r"ZeroDivisionError: division by zero \(messages.py, line 2\)"),
        ("\nraise SystemExit(3)\n", r"SystemExit: 3 \(messages.py, line 2\)"),
        ("def f(:\n", r"SyntaxError: invalid syntax \(messages.py, line 1\)"),
        (
            "\nfrom gateway_service.worker import handlers\nhandlers.check_handler(5, bind=False)\n",
            r"TypeError: on\(...\) takes a function that has a name, not 5 \(messages.py, line 3\)",
        ),
    ],
)
def test_a_module_that_fails_is_named_with_error_and_line(package, source, reason):
    (package / "messages.py").write_text(source)

    with pytest.raises(ConfigurationError, match=f"^GATEWAY_TASKS: importing 'bot.messages' failed: {reason}$"):
        import_tree("bot")
